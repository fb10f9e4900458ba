"""From new articles to a batch to label: what may be offered, what the model thinks of it, what is chosen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.data.annotations import codebook_version
from pipeline.data.articles import Article
from pipeline.data.formats.rows import Reject
from pipeline.data.sentences import Sentence, cut
from pipeline.data.splitting import near_duplicates, normalize
from pipeline.errors import InputError
from pipeline.labelling.choice import Plan, choose
from pipeline.labelling.project import Project, read_new_articles, read_project
from pipeline.labelling.rows import make_row, model_opinion
from pipeline.prediction import needs_of
from pipeline.prediction.reading import Needs, mark_topic, refuse_language
from pipeline.progress import ProgressCallback

# Two sentences that share this much of the shorter one say the same (as in the leak report).
SAME = 0.8
CHUNK = 1024  # sentences that are scored between two reports
SHOWN = 3  # rejects, where nothing is left


@dataclass
class Pool:
    """The sentences that may be offered, and why others may not."""

    sentences: list[tuple[Article, Sentence]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # why -> sentences
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Suggestion:
    """A batch: its rows in reading order, and the pool that it was chosen from."""

    rows: tuple[dict[str, Any], ...]
    pool: Pool


def suggest(
    inputs: Iterable[str | Path], bundle: Bundle, config: Config, plan: Plan, on_progress: ProgressCallback
) -> Suggestion:
    """Choose the sentences whose labels would teach the model most; InputError with the reasons where none is left."""
    on_progress(0.0, "read and cut")
    pool = gather(inputs, read_project(config), needs_of(bundle))
    if not pool.sentences:
        reasons = [f"{count} {why}" for why, count in pool.left_out.most_common()]
        reasons += map(str, pool.rejects[:SHOWN])
        raise InputError("stance label suggest", f"no sentence is left to label ({', '.join(reasons) or 'no input'})")
    probabilities = _score([sentence.text for _, sentence in pool.sentences], bundle, on_progress)
    labels, chosen = bundle.decide(probabilities), choose(probabilities, plan)
    version = codebook_version(config.data.labels)
    rows = []
    # In reading order: an annotator who reads on needs less time for each sentence.
    for position in sorted(chosen):
        article, sentence = pool.sentences[position]
        row = make_row(article, sentence.start, sentence.end, codebook=version, sampling=chosen[position])
        rows.append(row | model_opinion(labels[position], probabilities[position], bundle.label_names))
    return Suggestion(tuple(rows), pool)


def _score(texts: Sequence[str], bundle: Bundle, on_progress: ProgressCallback) -> np.ndarray:
    parts = []
    for begin in range(0, len(texts), CHUNK):
        on_progress(0.2 + 0.8 * begin / len(texts), f"score {len(texts):,} sentences")
        parts.append(bundle.predict_proba(texts[begin : begin + CHUNK]))
    return np.concatenate(parts)


def gather(inputs: Iterable[str | Path], project: Project, needs: Needs | None = None) -> Pool:
    """Cut the inputs and leave out what is labelled, says the same, is off topic, or belongs to the test part."""
    needs = needs or Needs()
    articles, rejects = read_new_articles(inputs, project)
    pool = Pool(rejects=rejects)
    guarded = _guarded(articles, project)
    labelled: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in project.annotations:
        labelled[row.article_id].append((row.start, row.end))
    for article in articles.values():
        if reject := refuse_language(article, needs):
            pool.rejects.append(reject)
            continue
        for sentence in mark_topic(cut(article.text), article.title, needs.topic_words):
            if article.id in guarded:
                pool.left_out["of the test part"] += 1
            elif any(start < sentence.end and sentence.start < end for start, end in labelled[article.id]):
                pool.left_out["labelled already"] += 1
            elif not sentence.on_topic:
                pool.left_out["off topic"] += 1
            else:
                pool.sentences.append((article, sentence))
    _drop_repeats(pool, project)
    return pool


def _guarded(articles: dict[str, Article], project: Project) -> set[str]:
    """Return the articles that are in the test part, or near-duplicates of one that is."""
    test = project.test_articles
    texts = {key: project.articles[key].text for key in test} | {key: a.text for key, a in articles.items()}
    pairs = [(pair.first, pair.second) for pair in near_duplicates(texts)]
    return test | {one for pair in pairs for one, other in (pair, pair[::-1]) if other in test}


def _drop_repeats(pool: Pool, project: Project) -> None:
    """Leave out sentences that say what a labelled one, a test article or an earlier one of the pool says."""
    known = {f"known {i}": text for i, text in enumerate(project.known_texts)}
    new = {f"new {i}": sentence.text for i, (_, sentence) in enumerate(pool.sentences)}
    seen = {normalize(text) for text in known.values()}
    repeats: set[str] = set()
    # Short sentences, and those that stand in very many texts, have no shingles of their own to compare.
    for key, text in new.items():
        if (words := normalize(text)) in seen:
            repeats.add(key)
        seen.add(words)
    # Known ones first, then the pool in its order: the later of two is the repeat.
    order = {key: place for place, key in enumerate(known | new)}
    pairs = [sorted((pair.first, pair.second), key=order.__getitem__) for pair in near_duplicates(known | new, SAME)]
    for early, late in sorted(pairs, key=lambda pair: order[pair[0]]):
        if late in new and early not in repeats:
            repeats.add(late)
    if repeats:
        pool.left_out["repeat what is known"] = len(repeats)
    pool.sentences = [row for key, row in zip(new, pool.sentences, strict=True) if key not in repeats]
