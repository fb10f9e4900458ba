"""What a model that ships says of the real test documents, measured when it was made: their text is not here.

`test_predictions.json` beside it holds labels, probabilities, and what baselines trained on the same real text say; no
text. It counts for that very model: it names the digest of its files, and an exported model must have its head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError, model_validator

from pipeline.bundle import Bundle
from pipeline.classifiers import pretrained_folder
from pipeline.classifiers.pretrained import calibrated_weights
from pipeline.classifiers.pretrained_folder import (
    ADAPTER,
    EXPERT,
    FIRST_STAGE,
    HEAD,
    SECOND_STAGE,
    digest_files,
    read_head,
)
from pipeline.config import LabelNames
from pipeline.data.files import write_whole
from pipeline.errors import InputError, describe_invalid
from pipeline.evaluation.rows import ScoredRows
from pipeline.evaluation.subsets import Subset, metrics_of
from pipeline.manifest import Facts, Probability
from pipeline.scoring.predictions import Predictions

NAME = "test_predictions.json"
DIGITS = 4


class Document(Facts):
    """A document by its id, and what is said of its n sentences; labels are indices."""

    article: str
    source: str
    labels: tuple[int, ...]
    probabilities: tuple[tuple[Probability, ...], ...]
    baselines: dict[str, tuple[int, ...]]


class MeasuredRows(Facts):
    """What the file holds: documents of which some sentences were sampled, and articles of which all were taken."""

    digest: str
    label_names: LabelNames
    sampled: tuple[Document, ...]
    whole: tuple[Document, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> MeasuredRows:
        size = len(self.label_names)
        for document in (*self.sampled, *self.whole):
            given = (document.labels, *document.baselines.values())
            rows = np.array(document.probabilities).reshape(-1, size)
            if {len(labels) for labels in given} != {len(rows)} or not np.isin(given, range(size)).all():
                raise ValueError(f"{document.article}: labels and probabilities do not fit together")
            if not (np.abs(rows.sum(1) - 1) < 0.01).all():
                raise ValueError(f"{document.article}: probabilities do not add up to 1")
        return self

    def subset(self, name: str, documents: Sequence[Document], bundle: Bundle, *, nested: bool = False) -> Subset:
        """Score documents as this model decides, with labels in its order."""
        order = [self.label_names.index(label) for label in bundle.label_names]
        probabilities = np.array([row for document in documents for row in document.probabilities])[:, order]
        probabilities = probabilities / probabilities.sum(1, keepdims=True)
        groups = np.repeat([document.article for document in documents], [len(row.labels) for row in documents])
        places = np.argsort(order)
        y_true = places[np.concatenate([document.labels for document in documents])]
        baselines = {}
        for baseline in documents[0].baselines:
            y_pred = places[np.concatenate([document.baselines[baseline] for document in documents])]
            baselines[baseline] = Predictions(y_true, y_pred, np.eye(len(order))[y_pred], groups)
        own = Predictions(y_true, bundle.decide(probabilities), probabilities, groups)
        return Subset(name, own, baselines, metrics_of(bundle), real=True, measured=True, nested=nested)


def measured_subsets(bundle: Bundle) -> Iterator[Subset]:
    """Yield the scores on real documents, each source of them, and whole articles; none for a model of one's own."""
    folder = _find_folder(bundle)
    if folder is None or not (folder / NAME).is_file():
        return
    measured = read_measured(folder / NAME)
    if measured.digest != digest_folder(folder):
        return
    yield measured.subset("real documents", measured.sampled, bundle)
    for source in sorted({document.source for document in measured.sampled}):
        yield measured.subset(source, [row for row in measured.sampled if row.source == source], bundle, nested=True)
    yield measured.subset("whole articles", measured.whole, bundle)


def _find_folder(bundle: Bundle) -> Path | None:
    """Return the folder of the pretrained model that this one is, to the last bit of its head."""
    arrays = bundle.classifier.state().arrays
    for file in sorted(pretrained_folder.HOME.glob(f"*/{HEAD[0]}")):
        head = read_head(file.parent)
        if sorted(head.label_names) == sorted(bundle.label_names):
            with_expert = (file.parent / EXPERT[0]).exists()
            shipped = zip(("coefficients", "intercepts"), calibrated_weights(head, bundle.label_names), strict=True)
            alike = all(np.array_equal(arrays.get(name, 0), weights) for name, weights in shipped)
            if alike and with_expert == ("router" in arrays):
                return file.parent
    return None


def digest_folder(folder: Path) -> str:
    """Name a pretrained model by the content of adapter, head and stages."""
    return digest_files(folder, (*ADAPTER, *HEAD, *EXPERT, *FIRST_STAGE, SECOND_STAGE))


def read_measured(file: Path) -> MeasuredRows:
    """Read the file; InputError where it cannot be used."""
    try:
        return MeasuredRows.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(file, describe_invalid(error), then="install the package again") from None


def write_measured(sampled: ScoredRows, whole: ScoredRows, bundle: Bundle) -> Path:
    """Write the file beside the pretrained model that a bundle is; InputError where it is none."""
    folder = _find_folder(bundle)
    if folder is None:
        raise InputError(bundle.manifest.candidate.name, "is no pretrained model as it ships")
    parts = {name: tuple(_documents(rows)) for name, rows in (("sampled", sampled), ("whole", whole))}
    measured = MeasuredRows(digest=digest_folder(folder), label_names=bundle.label_names, **parts)
    with write_whole(folder / NAME) as partial:
        partial.write_text(measured.model_dump_json().replace("},{", "},\n{") + "\n", encoding="utf-8")
    return folder / NAME


def _documents(rows: ScoredRows) -> Iterator[Document]:
    """Yield each document, in the order of their ids."""
    ids = np.array([example.article_id for example in rows.examples])
    for article in np.unique(ids).tolist():
        own = rows.take(np.flatnonzero(ids == article))
        yield Document(
            article=article,
            source=own.examples[0].origin,
            labels=own.predictions.y_true.tolist(),
            probabilities=own.predictions.probabilities.round(DIGITS).tolist(),
            baselines={name: predictions.y_pred.tolist() for name, predictions in own.baselines.items()},
        )
