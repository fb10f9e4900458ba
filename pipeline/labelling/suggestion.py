"""From new articles to a batch to label: what may be offered, what the model thinks of it, what is chosen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.data.articles import Article, Reject, read_articles
from pipeline.data.sentences import Sentence, cut
from pipeline.data.splitting import near_duplicates, normalize
from pipeline.errors import InputError
from pipeline.labelling.choice import Plan, Vectorize, choose
from pipeline.labelling.project import Project, read_project
from pipeline.labelling.rows import codebook_version, make_row
from pipeline.progress import ProgressCallback

# Two sentences that share this much of the shorter one say the same (as in the leak report).
SAME_SENTENCE = 0.8
CHUNK = 1024  # sentences that are scored between two reports


@dataclass
class Pool:
    """The sentences that may be offered, and why others may not."""

    sentences: list[tuple[Article, Sentence, str]] = field(default_factory=list)  # with the sentence before
    left_out: Counter[str] = field(default_factory=Counter)  # why -> sentences
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Suggestion:
    """A batch: its rows in reading order, and the pool that it was chosen from."""

    rows: tuple[dict[str, Any], ...]
    pool: Pool


def suggest(
    inputs: Iterable[str | Path],
    bundle: Bundle,
    config: Config,
    plan: Plan,
    diversity: str,
    on_progress: ProgressCallback,
) -> Suggestion:
    """Choose the sentences whose labels would teach the model most.

    Args:
        inputs: files, folders, or `-`.
        bundle: the model that is to be taught.
        config: says where seeds, labels and corpora are.
        plan: how many, and by which strategy.
        diversity: what sentences are clustered by: `tfidf`, `encoder` (needs torch) or `none`.
        on_progress: told how far it is.

    """
    if diversity == "encoder" and find_spec("torch") is None:
        raise InputError("--diversity encoder", "torch is not installed", then="use --diversity tfidf")
    on_progress(0.0, "read and cut")
    pool = gather(inputs, read_project(config))
    if not pool.sentences:
        why = ", ".join(f"{n} {reason}" for reason, n in pool.left_out.most_common())
        why = why or "; ".join(f"{reject.where}: {reject.why}" for reject in pool.rejects[:3])
        raise InputError("stance label suggest", f"no sentence is left to label ({why or 'no input'})")
    texts = [sentence.text for _, sentence, _ in pool.sentences]
    parts = []
    for begin in range(0, len(texts), CHUNK):
        on_progress(0.2 + 0.7 * begin / len(texts), f"score {len(texts):,} sentences")
        parts.append(bundle.predict_proba(texts[begin : begin + CHUNK]))
    probabilities = np.concatenate(parts)
    on_progress(0.9, "choose")
    chosen = choose(probabilities, plan, vectorizer(diversity, texts))
    version = codebook_version(config.data.labels)
    rows = []
    # In reading order: an annotator who reads on needs less time for each sentence.
    for position in sorted(chosen):
        article, sentence, previous = pool.sentences[position]
        best = int(probabilities[position].argmax())
        row = make_row(article, sentence.start, sentence.end, previous=previous, codebook=version)
        row |= {"sampling": chosen[position], "guess": bundle.label_names[best]}
        rows.append(row | {"confidence": round(float(probabilities[position, best]), 4)})
    return Suggestion(tuple(rows), pool)


def vectorizer(diversity: str, texts: Sequence[str]) -> Vectorize | None:
    """Return what tells alike rows of `texts` by: `tfidf`, `encoder`, or None for `none`."""
    if diversity == "none":
        return None
    if diversity == "encoder":
        from pipeline.classifiers.checkpoint import DEFAULT, frozen_encoder

        return lambda rows: frozen_encoder(DEFAULT, 128).embed([texts[i] for i in rows])
    from sklearn.feature_extraction.text import TfidfVectorizer

    return lambda rows: TfidfVectorizer(sublinear_tf=True).fit_transform([f"{texts[i]} sentence" for i in rows])


def gather(inputs: Iterable[str | Path], project: Project) -> Pool:
    """Cut the inputs and leave out what is labelled, says the same, or belongs to the test part."""
    pool = Pool()
    articles: dict[str, Article] = {}
    for found in read_articles(inputs):
        if isinstance(found, Reject):
            pool.rejects.append(found)
        elif found.id in articles:
            pool.rejects.append(Reject(found.id, "a second article with this id; expected unique ids"))
        elif found.id in project.articles and project.articles[found.id].text != found.text:
            pool.rejects.append(Reject(found.id, "has the id of an article in the seeds and another text; rename it"))
        else:
            articles[found.id] = found
    guarded = _guarded(articles, project)
    labelled: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in project.annotations:
        labelled[row.article_id].append((row.start, row.end))
    for article in articles.values():
        before = ""
        for sentence in cut(article.text):
            if article.id in guarded:
                pool.left_out["of the test part"] += 1
            elif any(start < sentence.end and sentence.start < end for start, end in labelled[article.id]):
                pool.left_out["labelled already"] += 1
            else:
                pool.sentences.append((article, sentence, before))
            before = sentence.text
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
    known = dict(enumerate(project.known_texts))
    texts = {f"known {i}": text for i, text in known.items()}
    texts |= {f"new {i}": sentence.text for i, (_, sentence, _) in enumerate(pool.sentences)}
    seen = {normalize(text) for text in known.values()}
    repeats: set[int] = set()
    # Short sentences, and those that stand in very many texts, have no shingles of their own to compare.
    for i, (_, sentence, _) in enumerate(pool.sentences):
        if (words := normalize(sentence.text)) in seen:
            repeats.add(i)
        seen.add(words)
    pairs = [(pair.first, pair.second) for pair in near_duplicates(texts, SAME_SENTENCE)]
    # Known ones first, then the pool in its order: the later of two is the repeat.
    for first, second in sorted((_place(a), _place(b)) for a, b in pairs):
        early, late = min(first, second), max(first, second)
        if late[0] == 1 and (early[0] == 0 or early[1] not in repeats):
            repeats.add(late[1])
    pool.left_out["repeat what is known"] += len(repeats)
    pool.sentences = [row for i, row in enumerate(pool.sentences) if i not in repeats]


def _place(key: str) -> tuple[int, int]:
    kind, number = key.split()
    return int(kind == "new"), int(number)
