"""From the selected candidate to the exported folder: its manifest, its card, its predictions on held-out rows."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle, write_bundle
from pipeline.classifiers import Classifier, create
from pipeline.classifiers.agreement import check_agreement, exported_form
from pipeline.config import Config
from pipeline.data.dataset import APART
from pipeline.data.examples import join
from pipeline.evaluation.measured import measured_subsets
from pipeline.manifest import Manifest, Selection, TrainingData
from pipeline.reporting.model_card import write_card
from pipeline.scoring.abstention import Abstention, find_threshold
from pipeline.training.material import Material
from pipeline.training.own_labels import predict
from pipeline.training.provenance import git_commit, versions
from pipeline.training.results import CandidateResult
from pipeline.training.rows import exclude_active_samples, has_enough_real_text
from pipeline.training.scores import describe_scores, weak_slices
from pipeline.training.selection import selection_mask


def export(
    folder: Path,
    classifier: Classifier,
    selected: CandidateResult,
    reason: str,
    run_id: str,
    material: Material,
    config: Config,
) -> tuple[Manifest, str]:
    """Write a classifier that was fitted on the whole train part; return the manifest and the card in the folder."""
    exported = exported_form(selected.candidate, classifier)
    rows = material.validation or material.train
    # Groups that differ by little were written to lie near the border: they say nothing about how often forms differ.
    compared_on = [example.input for example in rows if example.origin not in APART] or [row.input for row in rows]
    data = material.dataset
    counts = Counter(f"{example.split}/{example.origin}/{example.label}" for example in data.examples)
    manifest = Manifest(
        topic=config.topic,
        topic_words=material.topic_words,
        language=config.language,
        source=config.data.source,
        label_names=config.label_names,
        positive=config.positive,
        targets=tuple(sorted({join(example.target) for example in material.train} - {""})),
        metric=config.selection.metric,
        candidate=selected.candidate,
        calibration=selected.calibration,
        decision=selected.decision,
        abstention=_abstention(selected, classifier, config),
        config=config.name,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        git_commit=git_commit(),
        run_id=run_id,
        versions=versions(),
        encoders=tuple(_encoders(selected)),
        data=TrainingData(digest=data.digest, rows=dict(sorted(counts.items())), invented=config.data.invented),
        selection=Selection(reason=reason, held_out=describe_scores(selected, config)),
        exported_form=check_agreement(selected.candidate, classifier, exported, selected.calibration, compared_on),
    )
    bundle = Bundle(manifest, exported, exported.first_stage(config.label_names))
    manifest = manifest.model_copy(update={"out_of_fold": _held_out(selected, classifier, bundle, material)})
    card = write_card(manifest, weak_slices(selected, config), list(measured_subsets(bundle)))
    write_bundle(folder, exported, manifest, card, bundle.first_stage)
    return manifest, card


def _abstention(selected: CandidateResult, classifier: Classifier, config: Config) -> Abstention:
    """Find the threshold on held-out rows; where real text is too little, a pretrained model brings its own."""
    target = config.abstain.precision
    if not has_enough_real_text(selected.real, config):
        own = classifier.own_abstention()
        if own and own.target_precision == target:
            return own
        if held_out := classifier.score_held_out():
            sampled = np.array([example.origin not in APART for example in held_out[0]])
            return find_threshold(predict(*held_out, selected.decision, config).take(sampled), target)
    rows = exclude_active_samples(selected.examples, selection_mask([selected], config))
    return find_threshold(selected.predictions(rows), target)


def _encoders(result: CandidateResult) -> list[str]:
    """Name the pretrained encoders in a model, each once."""
    if result.members:
        return sorted({name for member in result.members for name in _encoders(member)})
    own = create(result.candidate).encoder
    return [own] if own else []


def _held_out(
    selected: CandidateResult, classifier: Classifier, bundle: Bundle, material: Material
) -> dict[str, tuple[float, ...]]:
    """Return probabilities for rows that the model was not fitted on, by which it is scored and compared.

    Those of the validation part are what the exported model says; those of the train part are out of fold; those of
    the real sentences that ship with a pretrained model are what its head says of their vectors.
    """
    probabilities = selected.probabilities
    if material.validation:
        probabilities = bundle.predict_proba(bundle.read_examples(selected.examples))
    new = selected.held_out
    rows = list(zip(np.array(selected.examples, object)[new], probabilities[new], strict=True))
    if held_out := classifier.score_held_out():
        rows = [*zip(held_out[0], selected.calibration.apply(held_out[1]), strict=True), *rows]
    return {example.key: tuple(round(float(p), 4) for p in row) for example, row in rows}
