"""Join articles and labels into examples, check them, and keep articles whole across the split."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import splitting
from pipeline.articles import DOCUMENTS, TABLES, Article, Reject, read_articles, read_rows
from pipeline.config import Config
from pipeline.errors import InputError, raise_problems
from pipeline.labels import Judgement, check_spans, read_labels, settle

if TYPE_CHECKING:
    from datasets import DatasetDict

INDEX = "index.csv"
INDEX_COLUMNS = ("article_id", "origin", "split", "title", "outlet", "date", "style")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Example:
    """A sentence with its label, where it stands, and where its article comes from."""

    article_id: str
    sentence_index: int
    start: int
    end: int
    text: str
    label: str
    split: str
    group: str  # near-duplicate articles share it
    origin: str = ""
    outlet: str = ""
    date: str = ""
    style: str = ""

    @property
    def id(self) -> str:
        """Name the sentence by article and span."""
        return f"{self.article_id}:{self.start}-{self.end}"


@dataclass(frozen=True)
class Dataset:
    """All labelled sentences, and what is worth knowing about them."""

    examples: tuple[Example, ...]
    judgements: tuple[Judgement, ...]
    duplicates: tuple[splitting.Duplicate, ...]  # near-duplicate articles
    leaks: tuple[splitting.Duplicate, ...]  # sentences of the train part that the test part has too
    unlabelled: int  # articles without a label

    def part(self, split: str) -> tuple[Example, ...]:
        """Return the examples of one part; a leaking sentence is in neither table of scores nor training."""
        withheld = {leak.first for leak in self.leaks}
        return tuple(e for e in self.examples if e.split == split and e.id not in withheld)

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
    """Read seeds and labels; InputError lists what is broken, with file and line."""
    articles = read_seeds(config.data.seeds)
    texts = {article.id: article.text for article in articles.values()}
    judgements = read_labels(config.data.labels, config.label_names)
    check_spans(judgements, texts)
    index = read_index(config.data.seeds, articles)
    labels = settle(judgements)

    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for article_id, start, end in labels:
        spans[article_id].append((start, end))
    where = {row.span: row.where for row in judgements}
    problems = [
        f"{config.data.seeds / INDEX}: no row for {key!r}, which has labels; run `stance split`"
        for key in sorted(spans.keys() - index.keys())
    ]
    for key, own in spans.items():
        own.sort()
        problems += [
            f"{where[key, *later]}: overlaps the span {earlier[0]}:{earlier[1]}; expected spans side by side"
            for earlier, later in zip(own, own[1:], strict=False)
            if later[0] < earlier[1]
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
            group=groups[key],
            **{name: index[key][name] for name in ("split", "origin", "outlet", "date", "style")},
        )
        for key in kept
        for position, (start, end) in enumerate(spans[key])
    )
    if config.data.corpora:
        examples += read_corpora(config.data.corpora, config.label_names)
    found = splitting.leaks([(e.id, e.split, e.text) for e in examples])
    train = {e.id for e in examples if e.split == "train"}
    leaks = [
        pair if pair.first in train else replace(pair, first=pair.second, second=pair.first)
        for pair in found
        if (pair.first in train) != (pair.second in train)
    ]
    return Dataset(examples, tuple(judgements), tuple(duplicates), tuple(leaks), len(texts) - len(spans))


def _limited(spans: Iterable[str], index: dict[str, dict[str, str]], limit: int) -> list[str]:
    taken: Counter[tuple[str, str]] = Counter()
    kept = []
    for key in sorted(spans):
        taken[place := (index[key]["origin"], index[key]["split"])] += 1
        if not limit or taken[place] <= limit:
            kept.append(key)
    return kept


def read_seeds(folder: Path) -> dict[str, Article]:
    """Read the articles of a folder by their ids; InputError lists what cannot be read."""
    if not folder.is_dir():
        raise InputError(folder, "no such folder", expected="the articles that labels speak of")
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(DOCUMENTS + TABLES) and n != INDEX]
    articles: dict[str, Article] = {}
    problems = []
    for found in read_articles(folder / name for name in names):
        if isinstance(found, Reject):
            problems.append(f"{found.where}: {found.why}")
        elif found.id in articles:
            problems.append(f"{folder}: two articles have the id {found.id!r}; expected one; rename one")
        else:
            articles[found.id] = found
    if not names:
        problems.append(f"{folder}: holds no article; expected {', '.join(DOCUMENTS + TABLES)}")
    raise_problems(problems)
    return articles


def read_index(folder: Path, articles: dict[str, Article]) -> dict[str, dict[str, str]]:
    """Read a folder's index: article id -> its row; InputError lists all broken rows."""
    file = folder / INDEX
    if not file.exists():
        raise InputError(file, "no such file", expected=",".join(INDEX_COLUMNS), then="run `stance split`")
    index: dict[str, dict[str, str]] = {}
    problems = []
    try:
        rows = csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise InputError(file, f"broken UTF-8 at byte {error.start}", then="store it as UTF-8") from None
    if tuple(rows.fieldnames or ()) != INDEX_COLUMNS:
        raise InputError(f"{file}:1", f"columns {rows.fieldnames}", expected=",".join(INDEX_COLUMNS))
    for row in rows:
        where = f"{file}:{rows.line_num}"
        if None in row or None in row.values():
            problems.append(f"{where}: another number of columns; expected {len(INDEX_COLUMNS)}")
        elif row["article_id"] in index:
            problems.append(f"{where}: {row['article_id']} stands there twice; remove one row")
        elif row["article_id"] not in articles:
            problems.append(f"{where}: no article {row['article_id']!r} in {folder}; remove the row")
        elif row["split"] not in SPLITS:
            problems.append(f"{where}: split {row['split']!r}; expected {' or '.join(SPLITS)}")
        else:
            index[row["article_id"]] = row
    raise_problems(problems)
    return index


def extend_index(config: Config) -> list[dict[str, str]]:
    """Give each labelled article without one a part, and add it to the index; return the new rows.

    Nothing that has a part moves: the split is fixed once. Near-duplicates stay together.
    """
    folder = config.data.seeds
    articles = read_seeds(folder)
    index = read_index(folder, articles) if (folder / INDEX).exists() else {}
    judgements = read_labels(config.data.labels, config.label_names)
    check_spans(judgements, {key: article.text for key, article in articles.items()})
    strata: dict[str, Counter[str]] = defaultdict(Counter)
    for (key, _, _), label in settle(judgements).items():
        strata[key][f"{index.get(key, {}).get('origin', 'own')}/{label}"] += 1
    duplicates = splitting.near_duplicates({key: article.text for key, article in articles.items()})
    parts = splitting.assign(
        strata,
        {"train": 1 - config.data.test_share, "test": config.data.test_share},
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
    rows = read_labelled(file, label_names)
    parts = [row.fields["split"] for row in read_rows(file) if not isinstance(row, Reject)]
    return tuple(
        replace(row, split=f"running-{part}" if row.origin == "whole" and part != "train" else part)
        for row, part in zip(rows, parts, strict=True)
    )


def read_labelled(path: Path, label_names: Sequence[str]) -> list[Example]:
    """Read a labelled table of rows `id, text, label` (and `article`, `source`, `outlet`, `date` if known).

    InputError lists all broken rows.
    """
    if not path.is_file():
        raise InputError(path, "no such file", expected=f"a labelled {', '.join(TABLES)}")
    examples: list[Example] = []
    problems = []
    seen: set[str] = set()
    for row in read_rows(path):
        if isinstance(row, Reject):
            problems.append(f"{row.where}: {row.why}")
            continue
        missing = [name for name in ("id", "text", "label") if row.fields.get(name) in (None, "")]
        if missing:
            problems.append(f"{row.where}: no {', '.join(missing)}; expected id, text, label")
        elif row.fields["label"] not in label_names:
            problems.append(f"{row.where}: unknown label {row.fields['label']!r}; expected {', '.join(label_names)}")
        elif str(row.fields["id"]) in seen:
            problems.append(f"{row.where}: id {row.fields['id']!r} stands there twice; expected unique ids")
        else:
            field = {name: str(row.fields.get(name) or "") for name in ("article", "source", "outlet", "date")}
            key, text = str(row.fields["id"]), str(row.fields["text"])
            seen.add(key)
            article = field["article"] or key
            examples.append(
                Example(
                    *(article, len(examples), 0, len(text), text, row.fields["label"], "test", article),
                    origin=field["source"] or path.stem,
                    outlet=field["outlet"],
                    date=field["date"],
                )
            )
    raise_problems(problems)
    if not examples:
        raise InputError(path, "holds no row", expected="id, text, label")
    return examples


def to_dataset_dict(dataset: Dataset, label_names: Sequence[str]) -> DatasetDict:
    """Return train, test, and validation where there is one, as a DatasetDict; `label` is a ClassLabel."""
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
            for split in ("train", "validation", "test")
            if dataset.part(split)
        }
    )
