"""Text without labels, from which students learn what their teachers think of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Candidate, Config
from pipeline.data.articles import read_articles
from pipeline.data.examples import Example
from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Reject
from pipeline.data.sentences import cut
from pipeline.data.splitting import normalize
from pipeline.errors import InputError


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
