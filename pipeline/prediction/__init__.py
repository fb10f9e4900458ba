"""Batches: read articles, cut them, score sentences, write rows, report what could not be read.

A thread reads and cuts ahead of scoring (`reading`); what is scored is committed chunk by chunk
(`journal`), so that a batch that was killed goes on where it was and ends with the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.articles import Article, Meter, find_sources
from pipeline.bundle import Bundle
from pipeline.errors import InputError
from pipeline.labels import probability_column
from pipeline.prediction.forms import SUFFIXES
from pipeline.prediction.journal import Journal
from pipeline.prediction.reading import Ahead, Chunk, Cursor, read_chunks, survey
from pipeline.sentences import Sentence

CHUNK = 2048  # sentences that are scored and committed together
LONGEST = 5000  # characters of a sentence that are scored: no sentence is longer, a broken file may be
META = ("title", "date", "outlet")
COUNTS = ("articles", "sentences", "rejects", "labels")  # of a summary: what the journal keeps


@dataclass
class Summary:
    """What a batch did, over all its runs."""

    articles: int = 0
    sentences: int = 0
    rejects: int = 0
    seconds: float = 0.0  # of this run
    labels: dict[str, int] | None = None
    rejected: Path | None = None
    resumed: int = 0  # sentences that an earlier run had done
    share: float | None = None  # of the bytes to be read, None: unknown

    @property
    def rate(self) -> float:
        """Sentences a second in this run."""
        return (self.sentences - self.resumed) / max(self.seconds, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, None: unknown."""
        return self.sentences * (1 / self.share - 1) / self.rate if self.share and self.rate else None


def predict(
    inputs: Iterable[str | Path],
    output: Path,
    bundle: Bundle,
    *,
    unit: str = "article",
    report: Callable[[Summary], None] = lambda summary: None,
    restart: bool = False,
    exact: bool = False,
) -> Summary:
    """Label every sentence of the inputs, one row each in input order.

    The output appears whole, by a rename, once all is done; killed before, the same call goes on
    from the last chunk. What could not be read goes to `OUTPUT.rejected.jsonl` with where and why.

    Args:
        inputs: files, folders, or `-`.
        output: a `.jsonl`, `.csv` or `.parquet` file.
        bundle: the model.
        unit: `article` (cut into sentences) or `sentence` (each row is one already).
        report: told after each chunk how far the batch is.
        restart: begin anew, whatever an earlier call has done.
        exact: the whole model scores every sentence, whatever its first stage would say.

    """
    begin = time.perf_counter()
    rejected = output.with_name(output.name + ".rejected.jsonl")
    inputs = list(inputs)
    _check(inputs, output)
    own = {os.path.realpath(output), os.path.realpath(rejected)}
    inputs_digest, total = survey(find_sources(inputs, own))
    batch = {"inputs": inputs_digest, "model": bundle.digest, "unit": unit, "exact": exact}
    batch |= {"program": __version__, "chunk": CHUNK}
    columns = ["article_id", "sentence_index", "start", "end", "text", "label", "confidence"]
    columns += [*(probability_column(name) for name in bundle.label_names), *META]
    columns += ["stage"] if bundle.first_stage else []
    with closing(Journal(output, columns, batch, restart)) as journal:
        cursor = Cursor(*journal.state.get("cursor", ()))
        summary = Summary(**journal.state.get("summary", {"labels": dict.fromkeys(bundle.label_names, 0)}))
        summary.resumed = summary.sentences
        reading = read_chunks(find_sources(inputs, own), unit, CHUNK, cursor, journal.ids(), Meter())
        with Ahead(reading) as chunks:
            for chunk in chunks:
                rows = _score(chunk, bundle, exact)
                _count(summary, chunk, rows)
                rejects = [{"where": reject.where, "why": reject.why} for reject in chunk.rejects]
                counts = {name: getattr(summary, name) for name in COUNTS}
                journal.commit(rows, rejects, chunk.ids, cursor=chunk.cursor, summary=counts)
                summary.seconds = time.perf_counter() - begin
                summary.share = min(chunk.read / total, 1.0) if total else None
                if rows:
                    report(summary)
        journal.finish(rejected)
    summary.rejected = rejected if summary.rejects else None
    summary.seconds = time.perf_counter() - begin
    return summary


def _check(inputs: list[str | Path], output: Path) -> None:
    if not output.name.endswith(SUFFIXES):
        raise InputError(output, "unknown kind of file", expected=", ".join(SUFFIXES))
    if output.is_dir():
        raise InputError(output, "is a folder", expected="a file, or a name that is free")
    if any(str(entry) != "-" and os.path.realpath(entry) == os.path.realpath(output) for entry in inputs):
        raise InputError(output, "is an input too", then="choose another --output")
    if sum(str(entry) == "-" for entry in inputs) > 1:
        raise InputError("-", "stands twice", expected="standard input once")


def _score(chunk: Chunk, bundle: Bundle, exact: bool) -> list[dict[str, Any]]:
    """Score the sentences of a chunk, identical ones once, and return their rows."""
    texts = [sentence.text[:LONGEST] for _, sentence in chunk.sentences]
    unique = list(dict.fromkeys(texts))
    if not unique:
        return []
    staged = bundle.first_stage is not None and not exact
    probabilities, first = bundle.predict_in_stages(unique) if staged else (bundle.predict_proba(unique), None)
    positions = {text: position for position, text in enumerate(unique)}
    values, rows = probabilities.tolist(), []
    for (article, sentence), text in zip(chunk.sentences, texts, strict=True):
        row = _row(article, sentence, values[positions[text]], bundle.label_names)
        if bundle.first_stage is not None:
            row["stage"] = "first" if first is not None and first[positions[text]] else "full"
        rows.append(row)
    return rows


def _row(article: Article, sentence: Sentence, probabilities: list[float], names: tuple[str, ...]) -> dict[str, Any]:
    best = max(range(len(names)), key=probabilities.__getitem__)
    row = {"article_id": article.id, "sentence_index": sentence.index, "start": sentence.start, "end": sentence.end}
    row |= {"text": sentence.text, "label": names[best], "confidence": probabilities[best]}
    row |= {probability_column(name): p for name, p in zip(names, probabilities, strict=True)}
    return row | {name: getattr(article, name) for name in META if getattr(article, name)}


def _count(summary: Summary, chunk: Chunk, rows: list[dict[str, Any]]) -> None:
    assert summary.labels is not None
    summary.articles += len(chunk.ids)
    summary.sentences += len(rows)
    summary.rejects += len(chunk.rejects)
    for row in rows:
        summary.labels[row["label"]] += 1
