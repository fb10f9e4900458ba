"""What candidates learn from: the train and validation parts, and no other, and text without labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import tracking
from pipeline.config import Candidate, Config, TopicWords, read_topic_words
from pipeline.data.articles import read_articles
from pipeline.data.dataset import Dataset, Example, load_dataset, to_dataset_dict
from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Reject
from pipeline.data.sentences import cut
from pipeline.data.splitting import normalize
from pipeline.errors import InputError
from pipeline.training.provenance import requirements
from pipeline.training.rows import check_classes, check_validation, make_folds
from pipeline.training.selection import check_candidates

if TYPE_CHECKING:
    from datasets import DatasetDict

PARTS = ("train", "validation")


@dataclass(frozen=True)
class Material:
    """Rows and the folds they are in; `folds` runs over `rows`, shape (n,)."""

    dataset: Dataset
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    folds: np.ndarray
    parts: DatasetDict  # the rows as MLflow shows them, by part
    given: Config  # as it was before its `unlabelled` articles were cut
    topic_words: TopicWords | None

    @property
    def rows(self) -> list[Example]:
        """The train part, then the validation part."""
        return [*self.train, *self.validation]


def prepare(config: Config) -> tuple[Config, Material]:
    """Load the data, and find whatever is wrong with it before the first minute of work is spent.

    Returns the config, with each candidate's `unlabelled` articles cut into sentences, and the rows.
    """
    check_candidates(config.candidates)
    words = read_topic_words(config.topic_words) if config.topic_words else None
    dataset = load_dataset(config)
    train, validation = map(dataset.part, PARTS)
    check_classes(train, config)
    check_validation(validation, config)
    given, config = config, cut_unlabelled(config, dataset.examples)
    folds, parts = make_folds(train, validation, config), to_dataset_dict(dataset, config.label_names, PARTS)
    return config, Material(dataset, train, validation, folds, parts, given, words)


def log_material(run: tracking.Run, material: Material) -> None:
    """Log what a run is rebuilt from: rows (of the test part the digest alone), the whole config, what is installed."""
    import yaml

    config = material.given
    for part, rows in material.parts.items():
        run.inputs(f"{config.name}-{part}", rows, material.dataset.digest, part)
    run.params({"random_state": config.random_state, "folds": config.selection.folds, "rows": len(material.train)})
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    run.text(content, tracking.CONFIG)
    run.text(requirements(), tracking.REQUIREMENTS)


def unlabelled_sentences(sources: Sequence[Path], rows: Sequence[Example]) -> list[str]:
    """Return the sentences of articles that are labelled nowhere, and none of a held-out document."""
    held_out = {row.article_id for row in rows if row.split != "train"}
    known = {normalize(row.text) for row in rows}
    kept: dict[str, str] = {}
    for article in read_articles(sources):
        if isinstance(article, Reject) or article.id in held_out:
            continue
        for sentence in cut(article.text):
            text = " ".join(sentence.text.split())
            key = normalize(text)
            if 30 <= len(text) <= 500 and key not in known:
                kept.setdefault(key, text)
    return sorted(kept.values())


def cut_unlabelled(config: Config, rows: Sequence[Example]) -> Config:
    """Return the config with each candidate's `unlabelled` articles as a file of sentences in the cache.

    Its name tells its content. It holds none of the labelled sentences of any part (`rows`), and nothing of a document
    whose labels are held out.
    """
    candidates = tuple(_cut(candidate, config, rows) for candidate in config.candidates)
    return config.model_copy(update={"candidates": candidates})


def _cut(candidate: Candidate, config: Config, rows: Sequence[Example]) -> Candidate:
    sources = [Path(source) for source in candidate.options.get("unlabelled", ())]
    if not sources:
        return candidate
    where = f"candidate {candidate.name!r}, `unlabelled`"
    for source in sources:
        if not source.exists():
            raise InputError(where, f"no such file or folder: {source}", expected="articles")
    sentences = unlabelled_sentences(sources, rows)
    if not sentences:
        raise InputError(where, "holds no sentence that is not labelled already", expected="articles without labels")
    content = "".join(json.dumps(sentence) + "\n" for sentence in sentences)
    file = config.cache / "unlabelled" / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.jsonl"
    with write_whole(file) as partial:
        partial.write_text(content, encoding="utf-8")
    return candidate.model_copy(update={"options": candidate.options | {"unlabelled": (str(file),)}})
