"""Rebuild the pretrained model: teachers on real text, one small low-rank student, a head, a calibration.

The student learns from labels where there are such, and from what the teachers think of unlabelled
text of the domain (Hinton et al., 2015). Documents of the validation and test parts are never
learned from; the validation part calibrates.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.classifiers import cascade, create, index_labels
from pipeline.classifiers.pretrained import write_first_stage
from pipeline.config import Candidate, Config
from pipeline.data.dataset import Example, digest, load_dataset, read_corpora
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring import metrics
from pipeline.scoring.abstention import find_threshold
from pipeline.scoring.calibration import fit_calibration, softmax
from pipeline.training.unlabelled import unlabelled_sentences

CARD = """\
# The pretrained model that ships: a low-rank adapter for {encoder}

Made {created} by `stance adapt`. A LoRA adapter with its classification head, in half precision, for the
encoder sentence-transformers/{encoder} (Apache-2.0, not included; it is checked by sha256).

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

**PretrainRecipe.** Fine-tuned encoders and a TF-IDF machine, trained on the labels, are averaged; one adapter learns
from labels and their probabilities (`EXPERIMENTS.md` says what else was tried).

{recipe}

**Limits.** English; sentences on policy toward North Korea, one at a time. Weaker on headlines and on positions
that only the context shows; in running news, where most sentences are neutral, precision on the two sides is
lower than on sampled sentences. Outlets are mostly American and British, 2012 to 2020.

**Licence.** Apache-2.0.
"""


@dataclass(frozen=True)
class PretrainRecipe:
    """How the pretrained model was made; the card repeats it."""

    teachers: int = 3  # fine-tuned encoders with different random starts
    teacher_epochs: int = 4
    teacher_rate: float = 7e-5
    linear_weight: float = 1.5  # of the TF-IDF machine's margins beside the encoders' mean log-probability
    label_share: float = 0.5  # of a label beside the teachers' probabilities, where there is one
    rank: int = 32
    epochs: int = 5
    learning_rate: float = 7e-4
    closing_epochs: int = 2  # on labels alone, this project's own text among them
    closing_rate: float = 3e-4
    batch_size: int = 32
    max_length: int = 128
    random_state: int = 13


def adapt(
    config: Config,
    unlabelled: Sequence[Path],
    output: Path,
    on_progress: ProgressCallback,
    recipe: PretrainRecipe = PretrainRecipe(),
) -> dict[str, object]:
    """Train the adapter and write it with its head and card; goes on where an earlier call stopped.

    Args:
        config: names the corpora and the labels.
        unlabelled: tables or folders of articles; their sentences are labelled by the teachers alone.
        output: the adapter's folder.
        on_progress: told how far it is.
        recipe: how.

    """
    rows = _corpora(config)
    train = [row for row in rows if row.split == "train"]
    # Sampled sentences, and all sentences of whole articles: the start is calibrated for both.
    validation = [row for row in rows if row.split in ("validation", "full-article-validation")]
    texts = unlabelled_sentences(unlabelled, rows)
    name = hashlib.sha256(json.dumps([digest(train), texts, asdict(recipe)]).encode()).hexdigest()[:16]
    workspace = config.cache / "adapter" / name
    workspace.mkdir(parents=True, exist_ok=True)

    everything = [row.text for row in train] + texts
    logits = _teach(train, everything, config, recipe, workspace, lambda s, w: on_progress(0.6 * s, w))
    targets = softmax(logits)
    truth = np.eye(len(config.label_names))[index_labels(train, config.label_names)]
    targets[: len(train)] = recipe.label_share * truth + (1 - recipe.label_share) * targets[: len(train)]

    from pipeline.classifiers.adapter import train_adapter

    held_out, first = [row.text for row in validation], workspace / "first"
    if not (first / "head.safetensors").exists():
        train_adapter(
            *(everything, targets, held_out, asdict(recipe), workspace / "student", first),
            lambda s, w: on_progress(0.6 + 0.3 * s, w),
        )
    # Teachers know nothing of this project's own text, so its labels stand alone.
    own = [row for row in load_dataset(config).part("train") if row.origin in config.data.invented]
    own_truth = np.eye(len(config.label_names))[index_labels(own, config.label_names)]
    closing = asdict(recipe) | {"epochs": recipe.closing_epochs, "learning_rate": recipe.closing_rate}
    scores = train_adapter(
        [row.text for row in (*train, *own)],
        np.vstack([targets[: len(train)], own_truth]),
        *(held_out, closing, workspace / "closing", output),
        lambda s, w: on_progress(0.9 + 0.1 * s, w),
        start=first,
    )
    return _finish(scores, validation, (len(train), len(own), len(texts)), config, recipe, output)


def adapt_first_stage(
    config: Config, unlabelled: Sequence[Path], folder: Path, on_progress: ProgressCallback
) -> dict[str, object]:
    """Distil the pretrained model into its first stage, beside it; return what that does on held-out text.

    Its threshold is chosen on the validation part, sampled sentences and whole articles: on none of them
    does it give another label than the start. How often it would have, had their articles not been there,
    is counted over five folds.
    """
    rows = _corpora(config)
    texts = [row.input for row in rows if row.split == "train"] + unlabelled_sentences(unlabelled, rows)
    held_out = [row for row in rows if row.split in ("validation", "full-article-validation")]
    own = [row.input for row in held_out]
    start = create(Candidate(name="pretrained", kind="pretrained"))
    start.fit([], config.label_names, on_progress)
    on_progress(0.1, f"the start labels {len(texts) + len(own)} sentences")
    probabilities = softmax(start.decision_function(texts + own))
    on_progress(0.9, "distil")
    stage = cascade.fit(start.state().blobs["tokenizer.json"], texts, probabilities[: len(texts)])
    common, scores = stage.rest.index(0.0), stage.scores(own)
    sided = probabilities[len(texts) :].argmax(1) != common
    folds = np.unique([row.group for row in held_out], return_inverse=True)[1] % 5
    lost = sum(
        int(
            (
                scores[sided & (folds == fold)] < cascade.choose_threshold(scores[folds != fold], sided[folds != fold])
            ).sum()
        )
        for fold in range(5)
    )
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


def _teach(
    train: Sequence[Example],
    texts: Sequence[str],
    config: Config,
    recipe: PretrainRecipe,
    workspace: Path,
    on_progress: ProgressCallback,
) -> np.ndarray:
    """Return the teachers' joint logits for each text; each teacher's are kept as soon as they are there."""
    options = {"epochs": recipe.teacher_epochs, "learning_rate": recipe.teacher_rate, "validation_share": 0.0}
    teachers = [(Candidate(name="finetune", kind="finetune", options=options), n) for n in range(recipe.teachers)]
    teachers.append((Candidate(name="tfidf", kind="tfidf"), 0))
    parts = []
    for position, (candidate, random_state) in enumerate(teachers):
        file = workspace / f"{candidate.name}-{random_state}.npy"
        if not file.exists():
            words = f"teacher {position + 1} of {len(teachers)}"

            def told(share: float, what: str, position: int = position, words: str = words) -> None:
                on_progress((position + share) / len(teachers), f"{words}: {what}")

            classifier = create(candidate, random_state)
            classifier.fit(train, config.label_names, told)
            told(1.0, f"score {len(texts)} sentences")
            scores = classifier.decision_function(texts)
            if candidate.kind == "finetune":
                scores = np.log(np.clip(softmax(scores), 1e-9, None))
            partial = file.with_suffix(".partial")
            with partial.open("wb") as stream:
                np.save(stream, scores)
            partial.replace(file)
        parts.append(np.load(file, allow_pickle=False))
    return np.mean(parts[:-1], axis=0) + recipe.linear_weight * parts[-1]


def _finish(
    scores: np.ndarray,
    validation: Sequence[Example],
    counts: tuple[int, int, int],
    config: Config,
    recipe: PretrainRecipe,
    output: Path,
) -> dict[str, object]:
    """Calibrate on the validation documents and write what lies beside the adapter."""
    from pipeline.classifiers.checkpoint import DEFAULT, DEFAULT_SHA256

    y_true, groups = index_labels(validation, config.label_names), [row.group for row in validation]
    folds = np.unique(groups, return_inverse=True)[1] % 5
    calibration = fit_calibration(scores, y_true, folds)
    probabilities = calibration.apply(scores)
    y_pred = probabilities.argmax(1)
    # The headline and the threshold are those of the sampled sentences: whole articles are easier, and mostly neutral.
    sampled = np.array([row.split == "validation" for row in validation])
    some = [group for group, kept in zip(groups, sampled, strict=True) if kept]
    found = metrics.interval(y_true[sampled], y_pred[sampled], some, len(config.label_names))
    card: dict[str, object] = {
        "encoder": DEFAULT,
        "encoder_sha256": DEFAULT_SHA256,
        "label_names": list(config.label_names),
        "calibration": calibration.to_dict(),
        "abstain": find_threshold(y_true[sampled], probabilities[sampled], config.abstain.precision).to_dict(),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "recipe": asdict(recipe),
        "rows": dict(zip(("labelled", "own", "unlabelled"), counts, strict=True)) | {"validation": len(validation)},
        "validation_macro_f1": [round(value, 4) for value in (found.value, found.low, found.high)],
    }
    sources = sorted({row.origin for row in validation})
    kept = {source: np.array([row.origin == source for row in validation]) for source in sources}
    size = len(config.label_names)
    by_source = [
        f"| {source} | {rows.sum()} | {metrics.macro_f1(metrics.confusion(y_true[rows], y_pred[rows], size)):.3f} |"
        for source, rows in kept.items()
    ]
    (output / "head.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    words = CARD.format(
        **{name: card[name] for name in ("created", "encoder")},
        **dict(zip(("labelled", "own", "unlabelled"), counts, strict=True)),
        score=f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] on {sampled.sum()} sampled sentences",
        sources="\n".join(by_source),
        recipe="\n".join(f"- `{name}`: {value}" for name, value in asdict(recipe).items()),
    )
    (output / "README.md").write_text(words, encoding="utf-8")
    return card
