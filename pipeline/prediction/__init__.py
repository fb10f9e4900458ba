"""Batches: read articles, cut them, score sentences, write rows, report what could not be read.

A thread reads and cuts ahead of scoring (`reading`); what is scored is committed chunk by chunk
(`journal`), so that a batch that was killed goes on where it was and ends with the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.bundle import Bundle
from pipeline.data.articles import find_sources
from pipeline.data.digest import fingerprint
from pipeline.data.tables import ByteCounter
from pipeline.errors import InputError, InputErrors
from pipeline.prediction.forms import SUFFIXES
from pipeline.prediction.journal import Journal
from pipeline.prediction.reading import (
    NO_TARGET,
    Chunk,
    Cursor,
    Needs,
    Notes,
    fingerprint_inputs,
    read_ahead,
    read_chunks,
)
from pipeline.scoring.abstention import UNCERTAIN

CHUNK = 2048  # sentences that are scored and committed together
LONGEST = 5000  # characters of a sentence that are scored: no sentence is longer, a broken file may be
SHOWN = 3  # first reasons, and dates that are not clear


@dataclass
class Summary:
    """What a batch did, over all its runs."""

    articles: int = 0
    sentences: int = 0
    off_topic: int = 0  # of the sentences
    rejects: int = 0
    seconds: float = 0.0  # of this run
    labels: dict[str, int] = field(default_factory=dict)  # rows by label, those that are off topic apart
    unknown: dict[str, int] = field(default_factory=dict)  # rows by targets that the model has not learned
    dropped: dict[str, int] = field(default_factory=dict)  # lines that are no sentences, by what they are
    undated: int = 0  # articles whose date may be two, or is none
    unclear: list[str] = field(default_factory=list)  # the first such dates, as they were written
    reasons: list[str] = field(default_factory=list)  # why the first inputs could not be read
    rejected: Path | None = None
    resumed: int = 0  # sentences that an earlier run had done
    share: float | None = None  # of the bytes to be read, None: unknown

    def add_notes(self, notes: Notes) -> None:
        """Count what is said of articles beside their sentences."""
        self.rejects += len(notes.rejects)
        self.reasons = [*self.reasons, *map(str, notes.rejects)][:SHOWN]
        self.undated += len(notes.unclear)
        self.unclear = list(dict.fromkeys([*self.unclear, *notes.unclear]))[:SHOWN]
        for line in notes.dropped:
            self.dropped[line["kind"]] = self.dropped.get(line["kind"], 0) + 1

    def add_target(self, target: str, rows: int, known: tuple[str, ...]) -> None:
        """Count rows of a target that is not among those of the model, where it has some."""
        target = " ".join(target.split())
        if known and target not in known:
            self.unknown[target] = self.unknown.get(target, 0) + rows

    def check(self, output: Path) -> None:
        """Raise InputErrors with the first reasons where nothing could be read; there are no new rows then."""
        if not self.sentences:
            lines = [f"{output}: nothing could be read; {self.rejected} says why", *self.reasons]
            raise InputErrors(["\n".join(lines)])

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
    on_progress: Callable[[Summary], None] = lambda summary: None,
    restart: bool = False,
    abstain: bool = False,
    exact: bool = False,
    show_dropped: Path | None = None,
) -> Summary:
    """Label every sentence of files, folders or standard input (`-`), one row each in input order.

    The output appears whole, by a rename, once all is done; killed before, the same call goes on
    from the last chunk. What could not be read goes to `OUTPUT.rejected.jsonl` with where and why.

    Args:
        inputs: files, folders, or `-`.
        output: a `.jsonl`, `.csv`, `.xlsx` or `.parquet` file.
        bundle: the model.
        unit: `article` (cut into sentences) or `sentence` (each row is one already).
        on_progress: called after each chunk.
        restart: begin anew, whatever an earlier call has done.
        abstain: label `uncertain` what is less sure than the threshold in the model's manifest.
        exact: the whole model scores every sentence, whatever its first stage would say.
        show_dropped: a file for the lines that are no sentences of an article's own, one JSON object each.

    """
    begin, rejected, inputs = time.perf_counter(), rejected_file(output), list(inputs)
    least = bundle.least_confidence() if abstain else None
    _check(inputs, output, show_dropped)
    own = {os.path.realpath(file) for file in (output, rejected, show_dropped) if file}
    inputs_digest, total = fingerprint_inputs(find_sources(inputs, own))
    batch: dict[str, object] = {"inputs": inputs_digest, "model": bundle.digest, "program": digest_program(bundle)}
    batch |= {"unit": unit, "abstain": least, "exact": exact, "chunk": CHUNK}
    with closing(Journal(output, columns_of(bundle), batch, restart)) as journal:
        cursor = Cursor(*journal.state.get("cursor", ()))
        summary = Summary(**journal.state.get("summary", {"labels": no_labels(bundle, abstain)}))
        summary.resumed = summary.sentences
        sources, needs = find_sources(inputs, own), needs_of(bundle)
        with read_ahead(read_chunks(sources, unit, CHUNK, cursor, journal.ids(), ByteCounter(), needs)) as chunks:
            for chunk in chunks:
                rows = _label(chunk, summary, bundle, least or 0.0, exact=exact)
                journal.commit(chunk, rows, summary=vars(summary))
                summary.seconds = time.perf_counter() - begin
                summary.share = min(chunk.read / total, 1.0) if total else None
                if rows:
                    on_progress(summary)
        journal.finish(rejected, show_dropped, has_rows=summary.sentences > 0)
    summary.rejected = rejected if summary.rejects else None
    summary.seconds = time.perf_counter() - begin
    return summary


def rejected_file(output: Path) -> Path:
    """Return where stands what could not be read."""
    return output.with_name(f"{output.name}.rejected.jsonl")


def digest_program(bundle: Bundle) -> str:
    """Name the code and the libraries that rows come from."""
    return fingerprint({__name__, *bundle.classifier.modules})


def needs_of(bundle: Bundle) -> Needs:
    """Return what a model wants of articles."""
    return Needs(bool(bundle.targets), bundle.manifest.language, bundle.manifest.topic_words)


def columns_of(bundle: Bundle) -> list[str]:
    """Return the columns of a row."""
    names = ["article_id", "sentence_index", "start", "end", "text", *bundle.columns, "is_title"]
    names += ["on_topic"] if bundle.manifest.topic_words else []
    names += ["title", "date", "outlet", *(["target"] if bundle.targets else [])]
    return [*names, "stage"] if bundle.stages else names


def no_labels(bundle: Bundle, abstain: bool) -> dict[str, int]:
    """Return a count of 0 for all that may stand in the column `label`."""
    return dict.fromkeys([*bundle.label_names, *([UNCERTAIN] if abstain else [])], 0)


def _check(inputs: list[str | Path], output: Path, show_dropped: Path | None) -> None:
    if not output.name.endswith(SUFFIXES):
        raise InputError(output, "unknown kind of file", expected=", ".join(SUFFIXES))
    if output.is_dir():
        raise InputError(output, "is a folder", expected="a file, or a name that is free")
    for file, option in ((output, "--output"), (show_dropped, "--show-dropped")):
        taken = {os.path.realpath(entry) for entry in inputs if str(entry) != "-"}
        if file and os.path.realpath(file) in taken | ({os.path.realpath(output)} if file is show_dropped else set()):
            raise InputError(file, "is an input or output too", then=f"choose another {option}")
    if sum(str(entry) == "-" for entry in inputs) > 1:
        raise InputError("-", "stands twice", expected="standard input once")


def score(chunk: Chunk, bundle: Bundle, least: float, *, exact: bool) -> list[dict[str, Any]]:
    """Score the sentences of a chunk, identical ones once, and return their rows."""
    texts = [bundle.read(sentence.text[:LONGEST], article.target) for article, sentence in chunk.sentences]
    unique = list(dict.fromkeys(texts))
    if not unique:
        return []
    probabilities, stages = bundle.predict_in_stages(unique, exact=exact)
    answers = dict(zip(unique, zip(bundle.describe(probabilities), stages, strict=True), strict=True))
    columns, rows = columns_of(bundle), []
    for (article, sentence), text in zip(chunk.sentences, texts, strict=True):
        answer, stage = answers[text]
        known = {**vars(article), **vars(sentence), **answer, "stage": stage}
        known |= {"article_id": article.id, "sentence_index": sentence.index}
        if known["confidence"] < least:
            known["label"] = UNCERTAIN
        rows.append({name: known[name] for name in columns if known[name] != ""})
    return rows


def _label(chunk: Chunk, summary: Summary, bundle: Bundle, least: float, *, exact: bool) -> list[dict[str, Any]]:
    """Score a chunk, count what comes of it and return its rows; refused where no row yet has what the model wants."""
    if not chunk.sentences and not summary.sentences and NO_TARGET in (reject.why for reject in chunk.rejects):
        bundle.read("")  # raises, in one line
    rows = score(chunk, bundle, least, exact=exact)
    summary.articles += len(chunk.ids)
    summary.sentences += len(rows)
    summary.add_notes(chunk)
    for row in rows:
        if row.get("on_topic", True):
            summary.labels[row["label"]] += 1
        else:
            summary.off_topic += 1
        summary.add_target(row.get("target", ""), 1, bundle.targets)
    return rows
