"""Articles of one's own and their index: the files of a folder, and the part of each labelled article for good."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Config
from pipeline.data import splitting
from pipeline.data.annotations import adjudicate, check_spans, read_labels
from pipeline.data.articles import Article, read_articles
from pipeline.data.files import write_whole
from pipeline.data.formats import SUFFIXES, find_format
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.labelled import PARTS
from pipeline.data.tables import check_rows, read_rows
from pipeline.errors import InputError, raise_problems

INDEX = "index.csv"
NO_ARTICLES = (INDEX, "README.md")  # files among the seeds that say something about them
INDEX_COLUMNS = ("article_id", "origin", "split", "title", "outlet", "date", "style")
OWN, SHIPPED = "own", "seed"  # origins: what `stance split` gives new articles, and real text of this project
Index = Mapping[str, dict[str, str]]  # article id -> its row


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
    for article in read_articles(list_seeds(folder)):
        if isinstance(article, Reject):
            problems.append(str(article))
        elif article.id in articles:
            problems.append(f"{folder}: two articles have the id {article.id!r}; expected one; rename one")
        else:
            articles[article.id] = article
    if not articles and not problems:
        problems.append(f"{folder}: holds no article; expected {', '.join(SUFFIXES)}")
    raise_problems(problems)
    return articles


def read_index(folder: Path, articles: Mapping[str, Article]) -> dict[str, dict[str, str]]:
    """Read a folder's index: article id -> its row; InputError lists all broken rows."""
    file = folder / INDEX
    if not file.exists():
        raise InputError(file, "no such file", expected=",".join(INDEX_COLUMNS), then="run `stance split`")
    index: dict[str, dict[str, str]] = {}

    def check(row: Row) -> None:
        key, split = row.fields["article_id"], row.fields["split"]
        if None in row.fields.values():
            raise InputError(row.where, "fewer columns than the first line")
        if key in index:
            raise InputError(row.where, f"duplicate article_id {key}", then="remove one row")
        if key not in articles:
            raise InputError(row.where, f"no article {key!r} in {folder}", then="remove the row")
        if split not in PARTS:
            raise InputError(row.where, f"split {split!r}", expected=", ".join(PARTS))
        index[key] = row.fields

    rows = list(read_rows(file))
    names = next((tuple(row.fields) for row in rows if isinstance(row, Row)), INDEX_COLUMNS)
    if names != INDEX_COLUMNS:
        raise InputError(f"{file}:1", f"columns {', '.join(names)}", expected=",".join(INDEX_COLUMNS))
    check_rows(rows, check)
    return index


def is_own(origin: str, config: Config) -> bool:
    """Say whether text among the seeds is the user's own: real, and not what ships with this project."""
    return origin not in (*config.data.invented, SHIPPED)


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
    parts = _assign(articles, index, config)
    new = [
        {"article_id": key, "origin": OWN, "split": parts[key], "title": articles[key].title}
        | {"outlet": articles[key].outlet, "date": articles[key].date, "style": ""}
        for key in sorted(parts.keys() - index.keys())
    ]
    if new:
        with (
            write_whole(folder / INDEX) as partial,
            partial.open("w", encoding="utf-8", newline="") as stream,
        ):
            rows = csv.DictWriter(stream, INDEX_COLUMNS, lineterminator="\n")
            rows.writeheader()
            rows.writerows([*index.values(), *new])
    return new


def _assign(articles: Mapping[str, Article], index: Index, config: Config) -> dict[str, str]:
    """Return the part of each labelled article: its own, else train or test as the shares want it."""
    texts = {key: article.text for key, article in articles.items()}
    annotations = read_labels(config.data.labels, config.label_names)
    check_spans(annotations, texts)
    strata: dict[str, Counter[str]] = defaultdict(Counter)
    for (key, _, _), label in adjudicate(annotations).items():
        strata[key][f"{index[key]['origin'] if key in index else OWN}/{label}"] += 1
    return splitting.assign(
        strata,
        {"train": 1 - config.data.test_share, "validation": 0, "test": config.data.test_share},
        groups=splitting.link(texts)[1],
        fixed={key: row["split"] for key, row in index.items()},
        random_state=config.random_state,
    )
