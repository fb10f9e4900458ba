"""Join articles and labels into examples, check them, and keep articles whole across the split."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.data import splitting
from pipeline.data.annotations import Annotation, adjudicate, check_spans, find_overlaps, read_labels
from pipeline.data.articles import Article, read_articles
from pipeline.data.examples import Example
from pipeline.data.formats import SUFFIXES, find_format
from pipeline.data.formats.rows import Reject
from pipeline.data.labelled import PARTS, read_labelled, read_source, to_examples
from pipeline.data.tables import read_rows
from pipeline.errors import InputError, raise_problems

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = ["Dataset", "Example", "digest", "load_dataset", "read_corpora", "read_labelled", "to_dataset_dict"]

INDEX = "index.csv"
NO_ARTICLES = (INDEX, "README.md")  # files among the seeds that say something about them
INDEX_COLUMNS = ("article_id", "origin", "split", "title", "outlet", "date", "style")
# Origins that are chosen and scored by themselves: what is not trained on is a part of its own, `contrast-test`.
APART = {"contrast": "contrast", "whole": "full-article"}


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

    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for article_id, start, end in sorted(labels):
        spans[article_id].append((start, end))
    sampling = {row.span: row.sampling for row in annotations if row.sampling}
    problems = [
        f"{config.data.seeds / INDEX}: no row for {key!r}, which has labels; run `stance split`"
        for key in sorted(spans.keys() - index.keys())
    ]
    problems += [
        f"{later.where}: overlaps the span {earlier.start}:{earlier.end}; expected spans side by side"
        for earlier, later in find_overlaps(annotations)
    ]
    duplicates = splitting.near_duplicates(texts)
    groups = splitting.group(texts, [(pair.first, pair.second) for pair in duplicates])
    for pair in duplicates:
        parts = [index.get(key, {}).get("split") for key in (pair.first, pair.second)]
        if None not in parts and parts[0] != parts[1]:
            problems.append(
                f"{config.data.seeds / INDEX}: {pair.first} is in {parts[0]} and its near-duplicate "
                f"{pair.second} in {parts[1]}; expected one side; change the `split` of one"
            )
    raise_problems(problems)

    kept = _limited(spans, index, config.data.limit)
    examples = tuple(
        Example(
            article_id=key,
            sentence_index=position,
            start=start,
            end=end,
            text=texts[key][start:end],
            label=labels[key, start, end],
            sampling=sampling.get((key, start, end), ""),
            group=groups[key],
            split=_part(index[key]["origin"], index[key]["split"]),
            **{name: index[key][name] for name in ("origin", "outlet", "date", "style")},
        )
        for key in kept
        for position, (start, end) in enumerate(spans[key])
    )
    corpora = config.data.corpora
    # What `bring_texts` could not bring is not there; what nobody can bring is a mistake.
    if corpora and (corpora.exists() or not config.data.external.is_dir()):
        examples += read_corpora(corpora, config.label_names)
    return Dataset(examples, tuple(annotations), tuple(duplicates), _leaks(examples), len(texts) - len(spans))


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
    strata: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        texts[row.article_id] += f"{row.text}\n"
        strata[row.article_id][f"{row.target}/{row.label}"] += 1
    duplicates = splitting.near_duplicates(texts)
    groups = splitting.group(texts, [(pair.first, pair.second) for pair in duplicates])
    rows = [replace(row, group=groups[row.article_id]) for row in rows]
    if not rows[0].split:
        shares = {"validation": config.data.validation_share, "test": config.data.test_share}
        shares = {part: share for part, share in shares.items() if share} | {"train": 1 - sum(shares.values())}
        parts = splitting.assign(strata, shares, groups=groups, random_state=config.random_state)
        rows = [replace(row, split=parts[row.article_id]) for row in rows]
    taken: Counter[str] = Counter()
    kept = []
    for row in rows:
        taken[row.split] += 1
        if not config.data.limit or taken[row.split] <= config.data.limit:
            kept.append(row)
    learned = {row.target for row in kept if row.split == "train"}
    unseen = {row.target: row.split for row in kept if row.target not in learned}
    raise_problems(
        [
            f"{config.data.source}: target {target!r} is in the {part} part and not in the train part; "
            f"expected {', '.join(sorted(learned)) or 'a train part'}; label rows of it or take it out"
            for target, part in sorted(unseen.items())
        ]
    )
    return Dataset(tuple(kept), (), tuple(duplicates), _leaks(kept), 0)


def _part(origin: str, split: str) -> str:
    return f"{APART[origin]}-{split}" if origin in APART and split != "train" else split


def _limited(spans: Iterable[str], index: dict[str, dict[str, str]], limit: int) -> list[str]:
    taken: Counter[tuple[str, str]] = Counter()
    kept = []
    for key in sorted(spans):
        taken[place := (index[key]["origin"], index[key]["split"])] += 1
        if not limit or taken[place] <= limit:
            kept.append(key)
    return kept


def list_seeds(folder: Path) -> list[Path]:
    """Return the files of a folder that hold articles, in the order of their names; none where there is no folder."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if find_format(name) and name not in NO_ARTICLES]


def read_seeds(folder: Path) -> dict[str, Article]:
    """Read the articles of a folder by their ids; InputError lists what cannot be read."""
    if not folder.is_dir():
        raise InputError(folder, "no such folder", expected="the articles that labels speak of")
    articles: dict[str, Article] = {}
    problems = []
    for found in read_articles(list_seeds(folder)):
        if isinstance(found, Reject):
            problems.append(f"{found.where}: {found.why}")
        elif found.id in articles:
            problems.append(f"{folder}: two articles have the id {found.id!r}; expected one; rename one")
        else:
            articles[found.id] = found
    if not articles and not problems:
        problems.append(f"{folder}: holds no article; expected {', '.join(SUFFIXES)}")
    raise_problems(problems)
    return articles


def read_index(folder: Path, articles: dict[str, Article]) -> dict[str, dict[str, str]]:
    """Read a folder's index: article id -> its row; InputError lists all broken rows."""
    file = folder / INDEX
    if not file.exists():
        raise InputError(file, "no such file", expected=",".join(INDEX_COLUMNS), then="run `stance split`")
    index: dict[str, dict[str, str]] = {}
    problems = []
    for row in read_rows(file):
        if isinstance(row, Reject):
            problems.append(str(row))
            continue
        fields = row.fields
        if tuple(fields) != INDEX_COLUMNS:
            raise InputError(f"{file}:1", f"columns {', '.join(fields)}", expected=",".join(INDEX_COLUMNS))
        if None in fields.values():
            problems.append(f"{row.where}: fewer columns than the first line")
        elif fields["article_id"] in index:
            problems.append(f"{row.where}: duplicate article_id {fields['article_id']}; remove one row")
        elif fields["article_id"] not in articles:
            problems.append(f"{row.where}: no article {fields['article_id']!r} in {folder}; remove the row")
        elif fields["split"] not in PARTS:
            problems.append(f"{row.where}: split {fields['split']!r}; expected {', '.join(PARTS)}")
        else:
            index[fields["article_id"]] = fields
    raise_problems(problems)
    return index


def extend_index(config: Config) -> list[dict[str, str]]:
    """Give each labelled article without one a part, and add it to the index; return the new rows.

    Nothing that has a part moves: the split is fixed once. Near-duplicates stay together.
    """
    if config.data.source:
        then = "a table has its parts in a column, or is divided when it is read"
        raise InputError(config.data.source, "is the whole data of this config", expected="seeds and labels", then=then)
    folder = config.data.seeds
    articles = read_seeds(folder)
    index = read_index(folder, articles) if (folder / INDEX).exists() else {}
    annotations = read_labels(config.data.labels, config.label_names)
    check_spans(annotations, {key: article.text for key, article in articles.items()})
    strata: dict[str, Counter[str]] = defaultdict(Counter)
    for (key, _, _), label in adjudicate(annotations).items():
        strata[key][f"{index.get(key, {}).get('origin', 'own')}/{label}"] += 1
    duplicates = splitting.near_duplicates({key: article.text for key, article in articles.items()})
    parts = splitting.assign(
        strata,
        {"train": 1 - config.data.test_share, "validation": 0, "test": config.data.test_share},
        groups=splitting.group(articles, [(pair.first, pair.second) for pair in duplicates]),
        fixed={key: row["split"] for key, row in index.items()},
        random_state=config.random_state,
    )
    new = [
        {"article_id": key, "origin": "own", "split": parts[key], "title": articles[key].title}
        | {"outlet": articles[key].outlet, "date": articles[key].date, "style": ""}
        for key in sorted(strata.keys() - index.keys())
    ]
    if new:
        partial = folder / f".{INDEX}.partial"
        with partial.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.DictWriter(stream, INDEX_COLUMNS, lineterminator="\n")
            rows.writeheader()
            rows.writerows([*index.values(), *new])
        partial.replace(folder / INDEX)
    return new


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
        {
            name: datasets.Value("int64" if name in ("sentence_index", "start", "end") else "string")
            for name in Example.__dataclass_fields__
        }
        | {"id": datasets.Value("string"), "label": datasets.ClassLabel(names=list(label_names))}
    )
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_list(
                [asdict(e) | {"id": e.id} for e in dataset.part(split)], features=features
            )
            for split in parts
            if dataset.part(split)
        }
    )
