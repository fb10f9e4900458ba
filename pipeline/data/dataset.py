"""Join articles and labels into examples, check them, and keep articles whole across the split."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.data import splitting
from pipeline.data.annotations import Annotation, adjudicate, check_spans, find_overlaps, read_labels
from pipeline.data.examples import Example
from pipeline.data.labelled import PARTS, read_labelled, read_source, to_examples
from pipeline.data.seeds import INDEX, Index, is_own, read_index, read_seeds
from pipeline.data.tables import read_rows
from pipeline.errors import InputError, raise_problems

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = ["Dataset", "Example", "digest", "load_dataset", "read_corpora", "read_labelled", "to_dataset_dict"]

# Origins that are chosen and scored by themselves: what is not trained on is a part of its own, `contrast-test`.
APART = {"contrast": "contrast", "whole": "full-article"}
# Fields of an example that are no text.
KINDS = {"sentence_index": "int64", "start": "int64", "end": "int64", "own": "bool"}


@dataclass(frozen=True)
class Dataset:
    """All labelled sentences, and what is worth knowing about them."""

    examples: tuple[Example, ...]
    annotations: tuple[Annotation, ...]
    duplicates: tuple[splitting.Duplicate, ...]  # near-duplicate articles
    leaks: tuple[splitting.Duplicate, ...]  # sentences of the train part that the test part has too
    unlabelled: int  # articles without a label

    def part(self, split: str) -> tuple[Example, ...]:
        """Return the examples of one part; a leaking sentence is in neither table of scores nor training."""
        withheld = {leak.first for leak in self.leaks}
        return tuple(e for e in self.examples if e.split == split and e.id not in withheld)

    @property
    def across(self) -> int:
        """How many pairs of near-duplicate articles lie in different parts."""
        parts = {example.article_id: example.split for example in self.examples}
        sides = [{parts[key] for key in (pair.first, pair.second) if key in parts} for pair in self.duplicates]
        return sum(len(side) > 1 for side in sides)

    @cached_property
    def contradictions(self) -> tuple[tuple[Example, ...], ...]:
        """Examples whose texts (and targets) are equal, where their labels are not."""
        groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
        for example in self.examples:
            groups[example.target, splitting.normalize(example.text)].append(example)
        return tuple(tuple(own) for own in groups.values() if len({example.label for example in own}) > 1)

    @cached_property
    def digest(self) -> str:
        """Name the content: sha256 over all examples."""
        return digest(self.examples)


def digest(examples: Iterable[Example]) -> str:
    """Name examples by their content: the first 16 hex digits of a sha256."""
    total = hashlib.sha256()
    for example in examples:
        total.update(json.dumps(asdict(example), ensure_ascii=False, sort_keys=True).encode())
    return total.hexdigest()[:16]


def load_dataset(config: Config) -> Dataset:
    """Read the table, or seeds and labels; InputError lists what is broken, with file and line."""
    if config.data.source:
        return _load_table(config)
    articles = read_seeds(config.data.seeds)
    texts = {article.id: article.text for article in articles.values()}
    annotations = read_labels(config.data.labels, config.label_names)
    check_spans(annotations, texts)
    index = read_index(config.data.seeds, articles)
    labels = adjudicate(annotations)
    duplicates, groups = splitting.link(texts)
    raise_problems(_problems(annotations, duplicates, index, config.data.seeds / INDEX))
    examples = _join(annotations, labels, index, groups, config)
    corpora = config.data.corpora
    # What `bring_texts` could not bring is not there; what nobody can bring is a mistake.
    if corpora and (corpora.exists() or not config.data.external.is_dir()):
        examples += read_corpora(corpora, config.label_names)
    unlabelled = len(texts.keys() - {row.article_id for row in annotations})
    return Dataset(examples, tuple(annotations), tuple(duplicates), _leaks(examples), unlabelled)


def _problems(
    annotations: Sequence[Annotation], duplicates: Iterable[splitting.Duplicate], index: Index, file: Path
) -> list[str]:
    """Say which articles have no part, which annotations overlap, which near-duplicates are in different parts."""
    without = sorted({row.article_id for row in annotations} - index.keys())
    problems = [f"{file}: no row for {key!r}, which has labels; run `stance split`" for key in without]
    problems += [
        f"{later.where}: overlaps the span {earlier.start}:{earlier.end}; expected spans side by side"
        for earlier, later in find_overlaps(annotations)
    ]
    for pair in duplicates:
        first, second = (index.get(key, {}).get("split") for key in (pair.first, pair.second))
        if first and second and first != second:
            what = f"{pair.first} is in {first} and its near-duplicate {pair.second} in {second}"
            problems.append(f"{file}: {what}; expected one side; change the `split` of one")
    return problems


def _join(
    annotations: Iterable[Annotation],
    labels: Mapping[tuple[str, int, int], str],
    index: Index,
    groups: Mapping[str, str],
    config: Config,
) -> tuple[Example, ...]:
    """Return an example for each labelled span, in the order of articles and places."""
    texts = {row.span: row.text for row in annotations}
    sampling = {row.span: row.sampling for row in annotations if row.sampling}
    positions: Counter[str] = Counter()
    examples = []
    for span in sorted(labels):
        key, start, end = span
        row = index[key]
        example = Example(
            article_id=key,
            sentence_index=positions[key],
            start=start,
            end=end,
            text=texts[span],
            label=labels[span],
            split=_part(row["origin"], row["split"]),
            group=groups[key],
            origin=row["origin"],
            outlet=row["outlet"],
            date=row["date"],
            style=row["style"],
            sampling=sampling.get(span, ""),
            own=is_own(row["origin"], config),
        )
        examples.append(example)
        positions[key] += 1
    return _limited(examples, config.data.limit)


def _leaks(examples: Sequence[Example]) -> tuple[splitting.Duplicate, ...]:
    """Return sentences of the train part that another part has too, the train part's first."""
    train = {e.id for e in examples if e.split == "train"}
    return tuple(
        pair if pair.first in train else replace(pair, first=pair.second, second=pair.first)
        for pair in splitting.leaks([(e.id, e.split, e.text) for e in examples])
        if (pair.first in train) != (pair.second in train)
    )


def _load_table(config: Config) -> Dataset:
    """Read a labelled table; one without a split column is divided, whole groups of articles to a part."""
    rows = read_source(config.data, config.label_names)
    texts: dict[str, str] = defaultdict(str)
    for row in rows:
        texts[row.article_id] += f"{row.text}\n"
    duplicates, groups = splitting.link(texts)
    rows = [replace(row, group=groups[row.article_id], own=row.origin not in config.data.invented) for row in rows]
    if not rows[0].split:
        parts = _divide(rows, config)
        rows = [replace(row, split=parts[row.article_id]) for row in rows]
    kept = _limited(rows, config.data.limit)
    raise_problems(_unlearned(kept, config.data.source))
    return Dataset(kept, (), tuple(duplicates), _leaks(kept), 0)


def _divide(rows: Iterable[Example], config: Config) -> dict[str, str]:
    """Return the part of each article, targets and labels in each part as in all.

    Where a validation part would be too small to choose by there is none: the train part is cross-validated then.
    """
    rows = list(rows)
    strata: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        strata[row.article_id][f"{row.target}/{row.label}"] += 1
    shares = {"validation": config.data.validation_share, "test": config.data.test_share}
    if len(rows) * shares["validation"] < config.selection.real_rows:
        del shares["validation"]
    shares = {part: share for part, share in shares.items() if share} | {"train": 1 - sum(shares.values())}
    groups = {row.article_id: row.group for row in rows}
    return splitting.assign(strata, shares, groups=groups, random_state=config.random_state)


def _unlearned(rows: Sequence[Example], where: object) -> list[str]:
    """Say which targets no row of the train part is about."""
    learned = {row.target for row in rows if row.split == "train"}
    parts = {row.target: row.split for row in rows if row.target not in learned}
    return [
        f"{where}: target {target!r} is in the {part} part and not in the train part; "
        f"expected {', '.join(sorted(learned)) or 'a train part'}; label rows of it or take it out"
        for target, part in sorted(parts.items())
    ]


def _part(origin: str, split: str) -> str:
    return f"{APART[origin]}-{split}" if origin in APART and split != "train" else split


def _limited(examples: Iterable[Example], limit: int) -> tuple[Example, ...]:
    """Return the examples of all articles, or of no more than the limit from each origin and part."""
    articles: dict[tuple[str, str], set[str]] = defaultdict(set)
    kept = []
    for example in examples:
        taken = articles[example.origin, example.split]
        if not limit or example.article_id in taken or len(taken) < limit:
            taken.add(example.article_id)
            kept.append(example)
    return tuple(kept)


def read_corpora(file: Path, label_names: Sequence[str]) -> tuple[Example, ...]:
    """Read the sentences of real documents that `stance corpora` brought here."""
    if not file.exists():
        raise InputError(file, "no such file", then="bring the texts here with `stance corpora`")
    return tuple(
        replace(row, split=_part(row.origin, row.split)) for row in to_examples(read_rows(file), label_names, {}, file)
    )


def to_dataset_dict(dataset: Dataset, label_names: Sequence[str], parts: Sequence[str] = PARTS) -> DatasetDict:
    """Return those of the parts that are not empty as a DatasetDict; `label` is a ClassLabel."""
    import datasets

    features = datasets.Features(
        {name: datasets.Value(KINDS.get(name, "string")) for name in Example.__dataclass_fields__}
        | {"id": datasets.Value("string"), "label": datasets.ClassLabel(names=list(label_names))}
    )
    rows = {split: [asdict(example) | {"id": example.id} for example in dataset.part(split)] for split in parts}
    tables = {split: datasets.Dataset.from_list(own, features=features) for split, own in rows.items() if own}
    return datasets.DatasetDict(tables)
