"""What a project holds already: articles, their parts, judgements, and every text that is taken."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.articles import DOCUMENTS, TABLES, Article, Reject, read_articles
from pipeline.config import Config
from pipeline.dataset import INDEX, Example, read_corpora
from pipeline.errors import InputError, raise_problems
from pipeline.labels import Judgement, read_labels


@dataclass(frozen=True)
class Project:
    """Seeds, labels and corpora as they are now; there may be none yet."""

    articles: dict[str, Article]
    index: dict[str, dict[str, str]]  # article id -> its row of index.csv
    judgements: tuple[Judgement, ...]
    corpora: tuple[Example, ...] = ()

    def part(self, article_id: str) -> str:
        """Return the part of an article, train or test; empty where it has none yet."""
        return self.index.get(article_id, {}).get("split", "")

    def month(self, article_id: str) -> str:
        """Return the month of an article as YYYY-MM, or the year alone; `unknown` where there is no date."""
        article = self.articles.get(article_id)
        return (self.index.get(article_id, {}).get("date") or (article.date if article else ""))[:7] or "unknown"

    @cached_property
    def test_articles(self) -> set[str]:
        """The articles of the test part that lie here."""
        return {key for key in self.index if self.part(key) == "test" and key in self.articles}

    @cached_property
    def known_texts(self) -> list[str]:
        """Every text that is labelled, and the test articles as wholes."""
        texts = {row.text for row in self.judgements} | {example.text for example in self.corpora}
        return sorted(texts) + [self.articles[key].text for key in sorted(self.test_articles)]


def read_project(config: Config) -> Project:
    """Read what there is, also where articles have labels and no part yet."""
    folder = config.data.seeds
    articles: dict[str, Article] = {}
    problems = []
    names = sorted(file.name for file in folder.glob("*")) if folder.is_dir() else []
    files = [folder / name for name in names if name.endswith(DOCUMENTS + TABLES) and name != INDEX]
    for found in read_articles(files):
        if isinstance(found, Reject):
            problems.append(f"{found.where}: {found.why}")
        else:
            articles[found.id] = found
    raise_problems(problems)
    judgements: tuple[Judgement, ...] = ()
    if any(config.data.labels.glob("*.jsonl")):
        judgements = tuple(read_labels(config.data.labels, config.label_names))
    file = config.data.corpora
    corpora = read_corpora(file, config.label_names) if file and file.exists() else ()
    return Project(articles, _read_index(folder / INDEX), judgements, corpora)


def _read_index(index: Path) -> dict[str, dict[str, str]]:
    if not index.exists():
        return {}
    with index.open(encoding="utf-8-sig", newline="") as stream:
        try:
            return {row["article_id"]: row for row in csv.DictReader(stream)}
        except (KeyError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(index, f"cannot be read ({error})", then="run `stance data` to see why") from None


@contextmanager
def locked(config: Config) -> Iterator[None]:
    """Hold the project's labels alone: two imports at once go one after the other."""
    from filelock import FileLock

    config.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(config.cache / "labels.lock"):
        yield
