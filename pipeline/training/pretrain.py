"""Rebuild a pretrained model: teachers on real text, one small low-rank student, a head, a calibration.

The student learns from labels where there are such, and from what the teachers think of unlabelled
text of the domain (Hinton et al., 2015), as `distil` does. Documents of the validation and test parts are
never learned from; the validation part calibrates.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.classifiers import cascade, create, index_labels
from pipeline.classifiers.encoders import DEFAULT
from pipeline.classifiers.pretrained import write_first_stage
from pipeline.classifiers.pretrained_folder import HEAD
from pipeline.classifiers.teachers import soften_labels
from pipeline.config import Candidate, Config
from pipeline.data.dataset import load_dataset, read_corpora
from pipeline.data.digest import fingerprint, hash_file
from pipeline.data.examples import Example
from pipeline.data.files import write_whole_folder
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.abstention import find_threshold
from pipeline.scoring.calibration import fit_calibration, softmax
from pipeline.scoring.metrics import MACRO_F1, measure
from pipeline.scoring.predictions import likeliest
from pipeline.training.unlabelled import unlabelled_sentences

HELD_OUT = ("validation", "full-article-validation")  # sampled sentences, and all sentences of whole articles
CARD = """\
# A pretrained model: a low-rank adapter for {encoder}

Made {created} by `stance pretrain`. A LoRA adapter with its classification head, in half precision, for the
encoder {encoder} (not included; it is checked by sha256).

**Data.** {labelled} labelled real sentences (news, UN speeches, government texts, headlines, state media; the
`train` documents of `labels/external/split.csv`), {own} invented sentences of this project's train part, and
{unlabelled} sentences of the domain that only the teachers labelled. No real text is in this repository;
weights hold no sentence of it as text. Labels are a large language model's reading under
`labels/CODEBOOK.md`; no domain expert has reviewed them.

**Scores.** Macro-F1 on the `validation` documents, which calibrate it and were used to choose the recipe:
{score} (`whole` below: all sentences of whole articles). Scores on
documents that nothing was chosen by stand in the project's README.

| source | sentences | macro-F1 |
|---|---|---|
{sources}

**Recipe.** Fine-tuned encoders and a TF-IDF machine label what they were not trained on; one adapter learns
from labels and their probabilities (`EXPERIMENTS.md` says what else was tried).

{recipe}

**Limits.** English; sentences on policy toward North Korea, one at a time. Weaker on headlines and on positions
that only the context shows; in running news, where most sentences are neutral, precision on the two sides is
lower than on sampled sentences. Outlets are mostly American and British, 2012 to 2020.

**Licence.** Apache-2.0.
"""


@dataclass(frozen=True)
class PretrainRecipe:
    """How a pretrained model is made; its card repeats it."""

    encoder: str = DEFAULT
    teacher_networks: int = 3  # fine-tuned encoders of different random states, averaged
    teacher_epochs: int = 4
    teacher_rate: float = 7e-5
    teacher_folds: int = 3
    label_share: float = 0.5  # of a label beside the teachers' probabilities, where there is one
    rank: int = 32
    epochs: int = 5
    learning_rate: float = 7e-4
    closing_epochs: int = 2  # on labels alone, this project's own text among them
    closing_rate: float = 3e-4
    batch_size: int = 32
    max_length: int = 128
    random_state: int = 13

    @property
    def teachers(self) -> list[Candidate]:
        """A fine-tuned encoder and a TF-IDF machine: they err apart."""
        options = {"checkpoint": self.encoder, "restarts": self.teacher_networks, "epochs": self.teacher_epochs}
        options |= {"learning_rate": self.teacher_rate, "validation_share": 0.0}
        return [Candidate(name="finetune", kind="finetune", options=options), Candidate(name="tfidf", kind="tfidf")]


def pretrain(
    config: Config,
    unlabelled: Sequence[Path],
    output: Path,
    on_progress: ProgressCallback,
    recipe: PretrainRecipe = PretrainRecipe(),
) -> dict[str, object]:
    """Train the adapter and write it with its head and card; goes on where an earlier call stopped.

    What was made for the model that it replaces (first stage, held-out facts) goes with that.

    Args:
        config: names the corpora and the labels.
        unlabelled: tables or folders of articles; their sentences are labelled by the teachers alone.
        output: the model's folder.
        on_progress: told how far it is.
        recipe: how.

    """
    from pipeline.classifiers.adapter import AdapterOptions, score_adapter, train_adapter

    rows = _corpora(config)
    train, validation = ([row for row in rows if row.split in parts] for parts in (("train",), HELD_OUT))
    texts = unlabelled_sentences(unlabelled, rows)
    targets, others = soften_labels(
        recipe.teachers,
        train,
        texts,
        config.label_names,
        lambda share, words: on_progress(0.6 * share, words),
        label_share=recipe.label_share,
        folds=recipe.teacher_folds,
        random_state=recipe.random_state,
        cache=config.cache / "folds",
    )
    # Teachers know nothing of this project's own text, so its labels stand alone.
    own = [row for row in load_dataset(config).part("train") if row.origin in config.data.invented]
    own_targets = np.eye(len(config.label_names))[index_labels(own, config.label_names)]
    shared = {name: getattr(recipe, name) for name in ("encoder", "rank", "batch_size", "max_length", "random_state")}
    options = AdapterOptions(**shared, epochs=recipe.epochs, learning_rate=recipe.learning_rate)
    closing = replace(options, epochs=recipe.closing_epochs, learning_rate=recipe.closing_rate)
    learned = [[row.input for row in (*train, *own)], texts, targets.tolist(), others.tolist(), own_targets.tolist()]
    name = fingerprint({"pipeline.classifiers.adapter"}, learned, asdict(options), asdict(closing))
    workspace = config.cache / "pretrain" / name
    first, last = workspace / "first", workspace / "last"
    if not first.exists():
        train_adapter(
            [row.text for row in train] + texts,
            np.vstack([targets, others]),
            options,
            workspace / "student",
            first,
            lambda share, words: on_progress(0.6 + 0.3 * share, words),
        )
    if not last.exists():
        train_adapter(
            [row.text for row in (*train, *own)],
            np.vstack([targets, own_targets]),
            closing,
            workspace / "closing",
            last,
            lambda share, words: on_progress(0.9 + 0.1 * share, words),
            goes_on_from=first,
        )
    scores = score_adapter(recipe.encoder, last, [row.text for row in validation], recipe.max_length)
    counts = {"labelled": len(train), "own": len(own), "unlabelled": len(texts), "validation": len(validation)}
    card, words = _describe(scores, validation, counts, config, recipe)
    with write_whole_folder(output) as partial:
        shutil.copytree(last, partial, dirs_exist_ok=True)
        (partial / HEAD[0]).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (partial / "README.md").write_text(words, encoding="utf-8")
    return card


def pretrain_first_stage(
    config: Config, unlabelled: Sequence[Path], folder: Path, on_progress: ProgressCallback
) -> dict[str, object]:
    """Distil a pretrained model into its first stage, beside it; return what that does on held-out text.

    Its threshold is chosen on the validation part, sampled sentences and whole articles: on none of them
    does it give another label than the model. How often it would have, had their articles not been there,
    is counted over five folds.
    """
    rows = _corpora(config)
    texts = [row.input for row in rows if row.split == "train"] + unlabelled_sentences(unlabelled, rows)
    held_out = [row for row in rows if row.split in HELD_OUT]
    own = [row.input for row in held_out]
    model = create(Candidate(name="pretrained", kind="pretrained", options={"model": str(folder)}))
    model.fit([], config.label_names, on_progress)
    on_progress(0.1, f"the model labels {len(texts) + len(own)} sentences")
    probabilities = softmax(model.decision_function(texts + own))
    on_progress(0.9, "distil")
    stage = cascade.fit(model.state().blobs["tokenizer.json"], texts, probabilities[: len(texts)])
    common, scores = stage.rest.index(0.0), stage.scores(own)
    sided = probabilities[len(texts) :].argmax(1) != common
    folds = np.unique([row.group for row in held_out], return_inverse=True)[1] % 5
    lost = 0
    for fold in range(5):
        threshold = cascade.choose_threshold(scores[folds != fold], sided[folds != fold])
        lost += int((scores[sided & (folds == fold)] < threshold).sum())
    stage = replace(stage, threshold=cascade.choose_threshold(scores, sided))
    answered = scores < stage.threshold
    whole = np.array([row.split == "full-article-validation" for row in held_out])
    facts: dict[str, object] = {
        "sentences": len(own),
        "answered": round(float(answered.mean()), 3),
        "answered_in_whole_articles": round(float(answered[whole].sum() / max(whole.sum(), 1)), 3),
        "other_labels": int(sided.sum()),
        "lost_out_of_fold": lost,
    }
    write_first_stage(stage, config.label_names, facts, folder)
    return facts


def _corpora(config: Config) -> tuple[Example, ...]:
    if config.data.corpora is None:
        raise InputError(config.name, "names no corpora", expected="data.corpora", then="use configs/full.yaml")
    return read_corpora(config.data.corpora, config.label_names)


def _describe(
    scores: np.ndarray, validation: Sequence[Example], counts: dict[str, int], config: Config, recipe: PretrainRecipe
) -> tuple[dict[str, object], str]:
    """Calibrate on the validation documents; return what is stored beside the adapter, and its card."""
    from pipeline.classifiers.checkpoint import WEIGHTS, find_checkpoint

    y_true, groups = index_labels(validation, config.label_names), [row.group for row in validation]
    folds = np.unique(groups, return_inverse=True)[1] % 5
    calibration = fit_calibration(scores, y_true, folds)
    probabilities = calibration.apply(scores)
    # The headline and the threshold are those of the sampled sentences: whole articles are easier, and mostly neutral.
    sampled = np.array([row.split == "validation" for row in validation])
    rows = likeliest(y_true, probabilities, groups)
    found = measure(MACRO_F1, rows.take(sampled))
    card: dict[str, object] = {
        "encoder": recipe.encoder,
        "encoder_sha256": hash_file(find_checkpoint(recipe.encoder) / WEIGHTS),
        "label_names": list(config.label_names),
        "calibration": calibration.to_dict(),
        "abstain": find_threshold(rows.take(sampled), config.abstain.precision).to_dict(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "recipe": asdict(recipe),
        "rows": counts,
        "validation_macro_f1": [round(value, 4) for value in (found.value, found.low, found.high)],
    }
    sources = sorted({row.origin for row in validation})
    parts = {source: rows.take(np.array([row.origin == source for row in validation])) for source in sources}
    by_source = [f"| {name} | {len(part)} | {MACRO_F1.value(part):.3f} |" for name, part in parts.items()]
    words = CARD.format(
        created=card["created"],
        encoder=recipe.encoder,
        **counts,
        score=f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] on {sampled.sum()} sampled sentences",
        sources="\n".join(by_source),
        recipe="\n".join(f"- `{name}`: {value}" for name, value in asdict(recipe).items()),
    )
    return card, words
