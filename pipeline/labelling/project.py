"""What a project holds already: articles, their parts, annotations, and every text that is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.config import Config
from pipeline.data.annotations import Annotation, read_labels
from pipeline.data.articles import Article, read_articles
from pipeline.data.dataset import Example, read_corpora
from pipeline.data.formats.rows import Reject
from pipeline.data.seeds import INDEX, OWN, is_own, list_seeds, read_index, read_seeds
from pipeline.errors import InputError


@dataclass(frozen=True)
class Project:
    """Seeds, labels and corpora as they are now; there may be none yet."""

    articles: dict[str, Article]
    index: dict[str, dict[str, str]]  # article id -> its row of index.csv
    annotations: tuple[Annotation, ...]
    corpora: tuple[Example, ...] = ()

    def article(self, row: Annotation) -> Article:
        """Return the article that an annotation speaks of; InputError where there is none."""
        if row.article_id not in self.articles:
            raise InputError(row.where, f"no article {row.article_id!r}", then="add it to the seeds")
        return self.articles[row.article_id]

    def part(self, article_id: str) -> str:
        """Return the part of an article, train or test; empty where it has none yet."""
        return self.index.get(article_id, {}).get("split", "")

    def month(self, article_id: str) -> str:
        """Return the month of an article as YYYY-MM, or the year alone; `unknown` where there is no date."""
        article = self.articles.get(article_id)
        return (self.index.get(article_id, {}).get("date") or (article.date if article else ""))[:7] or "unknown"

    def own(self, config: Config) -> list[Annotation]:
        """Return the user's own annotations: of real text that does not ship with this project."""
        origins = {key: row["origin"] for key, row in self.index.items()}
        return [row for row in self.annotations if is_own(origins.get(row.article_id, OWN), config)]

    @cached_property
    def test_articles(self) -> set[str]:
        """The articles of the test part that lie here."""
        return {key for key in self.index if self.part(key) == "test" and key in self.articles}

    @cached_property
    def known_texts(self) -> list[str]:
        """Every text that is labelled, and the test articles as wholes."""
        texts = {row.text for row in self.annotations} | {example.text for example in self.corpora}
        return sorted(texts) + [self.articles[key].text for key in sorted(self.test_articles)]


def read_project(config: Config) -> Project:
    """Read what there is, also where articles have labels and no part yet."""
    folder = config.data.seeds
    articles = read_seeds(folder) if list_seeds(folder) else {}
    index = read_index(folder, articles) if (folder / INDEX).exists() else {}
    annotations: tuple[Annotation, ...] = ()
    if any(config.data.labels.glob("*.jsonl")):
        annotations = tuple(read_labels(config.data.labels, config.label_names))
    file = config.data.corpora
    corpora = read_corpora(file, config.label_names) if file and file.exists() else ()
    return Project(articles, index, annotations, corpora)


def read_new_articles(inputs: Iterable[str | Path], project: Project) -> tuple[dict[str, Article], list[Reject]]:
    """Read articles by their ids, and what cannot be taken: also a second text under one id, here or in the seeds."""
    articles: dict[str, Article] = {}
    rejects = []
    for article in read_articles(inputs):
        if isinstance(article, Reject):
            rejects.append(article)
        elif article.id in articles:
            rejects.append(Reject(article.id, "a second article with this id; expected unique ids"))
        elif article.id in project.articles and project.articles[article.id].text != article.text:
            rejects.append(Reject(article.id, "has the id of an article in the seeds and another text; rename it"))
        else:
            articles[article.id] = article
    return articles, rejects


@contextmanager
def locked(config: Config) -> Iterator[None]:
    """Hold the project's labels alone: two imports at once go one after the other."""
    from filelock import FileLock

    config.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(config.cache / "labels.lock"):
        yield
