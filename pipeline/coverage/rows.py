"""Predicted rows, added up article by article while they are read: what is kept grows with articles, not with rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

import numpy as np

from pipeline.config import probability_column
from pipeline.coverage.domain import Sample
from pipeline.coverage.holders import Holders
from pipeline.coverage.periods import read_date
from pipeline.coverage.quotes import Quotes
from pipeline.coverage.shares import Sums, add_up
from pipeline.data.articles import find_files
from pipeline.data.formats import find_format
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.tables import ByteCounter, read_rows
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback
from pipeline.scoring.abstention import UNCERTAIN

NEEDED = ("article_id", "sentence_index", "start", "end", "label")
REJECTED = ".rejected.jsonl"  # beside rows: what prediction could not read
BUFFER = 5_000  # rows that are added up together
LONGEST_ARTICLE = 100_000  # sentences; a larger index is a broken row
TOLERANCE = 0.005  # probabilities may have been rounded to four digits
NO = ("false", "0", "no")  # of the column `on_topic`

Span = tuple[str, int, int]  # article, start, end


class Kept(NamedTuple):
    """A sentence that was asked for."""

    article: int
    speech: int  # who takes a side in it; -1 where it takes none
    probabilities: np.ndarray


class Totals:
    """Sentences added up by what they belong to, n of it, such as an article; what is kept grows with n."""

    def __init__(self, size: int) -> None:
        """Begin with nothing of `size` labels."""
        self.codes: dict[tuple[Any, str], int] = {}  # (article, target), or (its position, actor)
        self._size = size
        self._table = np.zeros((0, 1 + size + size**2 + 1 + size + 1))  # what `finish` returns, side by side

    def code(self, key: tuple[Any, str]) -> int:
        """Return the position of a key, which may be new."""
        return self.codes.setdefault(key, len(self.codes))

    def add(self, codes: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add sentences, m of them: codes and labels of shape (m,), probabilities of shape (m, k)."""
        own, short = np.unique(codes, return_inverse=True)
        counts = add_up(np.eye(self._size + 1)[labels], short, len(own))
        columns = *vars(Sums.of(probabilities, short, len(own))).values(), counts
        if (missing := len(self.codes) - len(self._table)) > 0:
            self._table = np.pad(self._table, ((0, max(missing, len(self._table) // 4)), (0, 0)))
        self._table[own] += np.hstack([column.reshape(len(own), -1) for column in columns])

    def finish(self) -> tuple[Sums, np.ndarray]:
        """Return the sums, n rows, and how many have each label, shape (n, k + 1), `uncertain` last."""
        n, k = len(self.codes), self._size
        columns = np.split(self._table[:n], np.cumsum([1, k, k * k, 1]), 1)
        sentences, probabilities, spread, confidence, counts = columns
        return Sums(sentences[:, 0], probabilities, spread.reshape(n, k, k), confidence[:, 0]), counts


@dataclass
class Batch:
    """Articles as rows describe them, n of them; labels in the order of `label_names`."""

    label_names: tuple[str, ...]
    ids: list[str] = field(default_factory=list)
    outlets: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)  # ISO, a month or a day; empty where there is none
    targets: list[str] = field(default_factory=list)
    totals: Totals = field(init=False)  # of each article
    speeches: Totals = field(init=False)  # (article, actor), of the sentences that take a side
    quotes: Quotes = field(default_factory=lambda: Quotes((), ()))
    holders: Holders | None = None  # who takes a side; None: nobody asked
    sample: Sample = field(default_factory=Sample)
    off_topic: Counter[str] = field(default_factory=Counter)  # article -> its rows that are left out
    stages: Counter[str] = field(default_factory=Counter)  # which part of the model answered -> rows
    threshold: float | None = None  # of the model
    below: int = 0  # rows that are less sure
    rejects: Counter[str] = field(default_factory=Counter)  # why -> rows
    first_reject: str = ""
    spans: dict[Span, Kept] = field(default_factory=dict)  # that are asked for

    def __post_init__(self) -> None:
        """Begin to count."""
        self.totals, self.speeches = Totals(len(self.label_names)), Totals(len(self.label_names))

    @property
    def least(self) -> float:
        """The confidence that a label has at least: the threshold where rows abstain, else any."""
        abstains = self.totals.finish()[1][:, -1].any()
        return self.threshold or 0.0 if abstains else 0.0

    @property
    def keys(self) -> dict[str, list[str]]:
        """What articles are grouped by."""
        return {"outlet": self.outlets, "date": self.dates, "target": self.targets}

    def reject(self, error: InputError) -> None:
        """Count a row that is left out."""
        self.first_reject = self.first_reject or str(error)
        self.rejects[error.what] += 1

    @property
    def rows(self) -> int:
        """Sentences that count."""
        return int(self.totals.finish()[0].sentences.sum())


def find_rows(inputs: Iterable[str | Path], label_names: Sequence[str]) -> list[Path]:
    """Return the files of predicted rows among the inputs; empty if they are articles.

    InputError if they are both, or rows of other labels.
    """
    entries = [Path(entry) for entry in inputs if str(entry) != "-"]
    files = [file for entry in entries for _, file in find_files(entry) if not file.name.endswith(REJECTED)]
    found = [file for file in files if _is_predicted(file, label_names)]
    if found and (len(found) < len(files) or len(entries) < len(list(inputs))):
        other = next((file for file in files if file not in found), "-")
        raise InputError(
            other, f"holds no predicted rows, though {found[0]} does", expected="rows or articles, not both"
        )
    return found


def _is_predicted(file: Path, label_names: Sequence[str]) -> bool:
    """Say whether the first row that can be read is a predicted one."""
    form = find_format(file.name)
    if form is None or not form.is_table:
        return False
    row = next((row for row in read_rows(file) if isinstance(row, Row)), None)
    if row is None or not {"article_id", "confidence"} & set(row.fields):
        return False
    wanted = {probability_column(name) for name in label_names}
    known = {name for name in row.fields if name.startswith("p_")}
    if known != wanted:
        what = f"its probabilities are {', '.join(sorted(known)) or 'missing'}"
        raise InputError(file, what, expected=", ".join(sorted(wanted)), then="name the model that made them: --model")
    if missing := [name for name in NEEDED if name not in row.fields]:
        raise InputError(file, f"no column `{missing[0]}`", expected="the columns that `stance predict` writes")
    return True


def read_batch(
    files: Sequence[Path],
    label_names: Sequence[str],
    on_progress: ProgressCallback,
    wanted: Mapping[Span, str] | None = None,
    *,
    sides: Sequence[str] = (),
    threshold: float | None = None,
    holders: Holders | None = None,
) -> Batch:
    """Add up predicted rows by article; InputError if not one row counts.

    Args:
        files: of `find_rows`.
        label_names: of the model that made the rows.
        on_progress: called with how far it is.
        wanted: sentences whose probabilities are kept one by one, and their texts.
        sides: labels of which some sentences are kept.
        threshold: the confidence below which the model is not sure enough.
        holders: where it is gathered who takes a side.

    """
    quotes = Quotes(label_names, sides)
    batch = Batch(tuple(label_names), quotes=quotes, holders=holders, threshold=threshold)
    reader = _Reader(batch, wanted or {})
    meter, total = ByteCounter(), sum(file.stat().st_size for file in files) or 1
    for file in files:
        for part in _parts(read_rows(file, NEEDED, meter)):
            reader.add(part)
            on_progress(min(meter.read / total, 1.0), f"{len(batch.ids):,} articles")
    if not batch.ids:
        why = "every one is off topic" if batch.off_topic else batch.first_reject or "it holds none"
        raise InputError(files[0], f"not one row counts; {why}")
    return batch


def _parts(rows: Iterable[Row | Reject]) -> Iterator[list[Row | Reject]]:
    """Yield some thousands of rows at once, and an article whole unless it is very long."""
    part: list[Row | Reject] = []
    article = None
    for row in rows:
        before, article = article, row.fields.get("article_id") if isinstance(row, Row) else article
        if len(part) >= 2 * BUFFER or (len(part) >= BUFFER and article != before):
            yield part
            part = []
        part.append(row)
    if part:
        yield part


class _Reader:
    """Adds rows to a batch, some thousands at once."""

    def __init__(self, batch: Batch, wanted: Mapping[Span, str]) -> None:
        self.batch, self._wanted = batch, wanted
        self._columns = [probability_column(name) for name in batch.label_names]
        self._labels = {name: position for position, name in enumerate((*batch.label_names, UNCERTAIN))}
        self._seen: list[int] = []  # of each article, its sentences as bits

    def add(self, rows: Sequence[Row | Reject]) -> None:
        """Check rows one by one, and add up those that count."""
        read, fields = [], []
        for row in rows:
            try:
                if isinstance(row, Reject):
                    raise InputError(row.where, row.why)
                on_topic = row.fields.get("on_topic", True)
                if on_topic is not True and str(on_topic).strip().lower() in NO:
                    self.batch.off_topic[intern(str(row.fields.get("article_id")))] += 1
                    continue
                read.append(self._read(row))
                fields.append(row.fields)
            except InputError as error:
                self.batch.reject(error)
        if read:
            codes, labels, values = (np.array(column) for column in zip(*read, strict=True))
            self._look(fields, codes, labels, values / values.sum(1, keepdims=True))

    def _look(self, fields: list[dict[str, Any]], codes: np.ndarray, labels: np.ndarray, values: np.ndarray) -> None:
        """Add up sentences by article and by who takes a side in it, and keep what the page shows of single ones."""
        batch, speeches = self.batch, np.full(len(fields), -1)
        batch.totals.add(codes, labels, values)
        if batch.holders:
            actors = enumerate(batch.holders.add(fields))
            found = {i: batch.speeches.code((int(codes[i]), actor)) for i, actor in actors if actor}
            sided = np.array(list(found), dtype=np.int64)
            speeches[sided] = list(found.values())
            batch.speeches.add(speeches[sided], labels[sided], values[sided])
        batch.quotes.add(fields, labels, values)
        batch.stages.update(str(row["stage"]) for row in fields if row.get("stage"))
        batch.below += int((values.max(1) < (batch.threshold or 0)).sum())
        for article, own in groupby(fields, key=lambda row: str(row["article_id"])):
            batch.sample.add(article, (str(row.get("text") or "") for row in own))
        for i, row in enumerate(fields if self._wanted else ()):
            with suppress(KeyError, TypeError, ValueError):
                span = str(row["article_id"]), int(row["start"]), int(row["end"])
                if span in self._wanted and self._wanted[span] == row.get("text"):
                    batch.spans[span] = Kept(int(codes[i]), int(speeches[i]), values[i])

    def _read(self, row: Row) -> tuple[int, int, list[float]]:
        """Return article, label and probabilities of a row; InputError where it cannot count."""
        fields = row.fields
        try:
            index, values = int(fields["sentence_index"]), [float(fields[name]) for name in self._columns]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(row.where, "`sentence_index` or a probability is no number") from None
        label = fields.get("label")
        if not isinstance(label, str) or label not in self._labels:
            raise InputError(row.where, "its label is none of this model's")
        # Comparisons with NaN are false.
        if not (abs(sum(values) - 1) <= TOLERANCE and min(values) >= 0):
            raise InputError(row.where, "its probabilities do not add up to 1")
        if not 0 <= index < LONGEST_ARTICLE:
            raise InputError(row.where, "`sentence_index` cannot be")
        code = self._article(row)
        if self._seen[code] >> index & 1:
            raise InputError(row.where, "a second row of the same sentence")
        self._seen[code] |= 1 << index
        return code, self._labels[label], values

    def _article(self, row: Row) -> int:
        """Return the position of a row's article, which may be new."""
        fields, batch = row.fields, self.batch
        key, target = fields.get("article_id"), _squeeze(fields.get("target"))
        if key is None or key == "":
            raise InputError(row.where, "no `article_id`")
        article = intern(str(key))  # no word is kept twice
        code = batch.totals.code((article, target))
        if code == len(batch.ids):
            batch.ids.append(article)
            batch.outlets.append(intern(_squeeze(fields.get("outlet"))))
            batch.dates.append(intern(read_date(fields.get("date"))))
            batch.targets.append(target)
            self._seen.append(0)
        return code


def _squeeze(cell: object) -> str:
    return " ".join(str(cell).split()) if cell else ""
