"""Batches: read articles, cut them, score sentences, write rows, report what could not be read."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.articles import Article, Reject, read_articles
from pipeline.bundle import Bundle
from pipeline.errors import InputError
from pipeline.sentences import Sentence, cut

SUFFIXES = (".jsonl", ".csv", ".parquet")
CHUNK = 2048  # sentences that are scored together
META = ("title", "date", "outlet")


@dataclass
class Summary:
    """What a batch did."""

    articles: int = 0
    sentences: int = 0
    rejects: int = 0
    seconds: float = 0.0
    labels: dict[str, int] | None = None
    rejected: Path | None = None


def probability_column(label: str) -> str:
    """Return the column of a label's probability: `p_pro_sanctions`."""
    return "p_" + label.replace("-", "_").replace(" ", "_")


def predict(
    inputs: Iterable[str | Path],
    output: Path,
    bundle: Bundle,
    *,
    unit: str = "article",
    report: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Label every sentence of the inputs, one row each in input order.

    The output appears whole, by a rename, once all is done. What could not be read goes to
    `OUTPUT.rejected.jsonl` with where and why.

    Args:
        inputs: files, folders, or `-`.
        output: a `.jsonl`, `.csv` or `.parquet` file.
        bundle: the model.
        unit: `article` (cut into sentences) or `sentence` (each row is one already).
        report: told after each chunk how far the batch is.

    """
    if not output.name.endswith(SUFFIXES):
        raise InputError(output, "unknown kind of file", expected=", ".join(SUFFIXES))
    inputs = list(inputs)
    if any(str(entry) != "-" and Path(entry).resolve() == output.resolve() for entry in inputs):
        raise InputError(output, "is an input too", then="choose another --output")
    begin = time.perf_counter()
    columns = ["article_id", "sentence_index", "start", "end", "text", "label", "confidence"]
    columns += [probability_column(name) for name in bundle.label_names]
    rejected = output.with_name(output.name + ".rejected.jsonl")
    summary = Summary(labels=dict.fromkeys(bundle.label_names, 0))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            write = stack.enter_context(_Writer(output, [*columns, *META]))
            reject = stack.enter_context(_Writer(rejected, ["where", "why"]))
            stream = _sentences(inputs, unit, summary, reject.write)
            while chunk := list(islice(stream, CHUNK)):
                write.write(_score(chunk, bundle, summary))
                summary.seconds = time.perf_counter() - begin
                report(summary)
            write.commit()
            if summary.rejects:
                reject.commit()
                summary.rejected = rejected
            else:
                rejected.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(output, error.strerror or str(error), expected="a place that can be written to") from None
    summary.seconds = time.perf_counter() - begin
    return summary


def _sentences(
    inputs: Iterable[str | Path], unit: str, summary: Summary, reject: Callable[[list[dict[str, Any]]], None]
) -> Iterator[tuple[Article, Sentence]]:
    seen: set[str] = set()
    for found in read_articles(inputs):
        sentences: list[Sentence] = []
        if isinstance(found, Article):
            if found.id in seen:
                found = Reject(found.id, "a second article with this id; expected unique ids")
            elif unit == "sentence":
                sentences = [Sentence(0, 0, len(found.text), found.text)]
            elif not (sentences := cut(found.text)):
                found = Reject(found.id, "the article holds no sentence")
        if isinstance(found, Reject):
            summary.rejects += 1
            reject([{"where": found.where, "why": found.why}])
            continue
        seen.add(found.id)
        summary.articles += 1
        for sentence in sentences:
            yield found, sentence


def _score(chunk: list[tuple[Article, Sentence]], bundle: Bundle, summary: Summary) -> list[dict[str, Any]]:
    probabilities = bundle.predict_proba([sentence.text for _, sentence in chunk])
    rows = []
    for (article, sentence), row in zip(chunk, probabilities.tolist(), strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        label = bundle.label_names[best]
        assert summary.labels is not None
        summary.labels[label] += 1
        place = {"article_id": article.id, "sentence_index": sentence.index, "start": sentence.start}
        place |= {"end": sentence.end, "text": sentence.text, "label": label, "confidence": row[best]}
        place |= {probability_column(name): p for name, p in zip(bundle.label_names, row, strict=True)}
        rows.append(place | {name: getattr(article, name) for name in META if getattr(article, name)})
    summary.sentences += len(rows)
    return rows


class _Writer:
    """Rows into a file that appears under its name when it is whole, and not at all otherwise."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self._path, self._columns = path, columns
        self._partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> _Writer:
        if self._path.name.endswith(".parquet"):
            import pyarrow as pa
            from pyarrow.parquet import ParquetWriter

            kinds = {"sentence_index": pa.int64(), "start": pa.int64(), "end": pa.int64(), "confidence": pa.float64()}
            fields = [
                (name, kinds.get(name, pa.float64() if name.startswith("p_") else pa.string()))
                for name in self._columns
            ]
            self._schema = pa.schema(fields)
            self._parquet = ParquetWriter(self._partial, self._schema)
        else:
            # A file name may hold bytes that are no UTF-8; the reject that names it must still be written.
            self._stream = self._partial.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            if self._path.name.endswith(".csv"):
                # Lines end as RFC 4180 has it: with "\n" alone, the writer leaves a "\r" in a text unquoted.
                self._csv = csv.DictWriter(self._stream, self._columns, lineterminator="\r\n")
                self._csv.writeheader()
        return self

    def write(self, rows: list[dict[str, Any]]) -> None:
        if self._path.name.endswith(".parquet"):
            import pyarrow as pa

            self._parquet.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        elif self._path.name.endswith(".csv"):
            self._csv.writerows(rows)
        else:
            self._stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def _close(self) -> None:
        (self._parquet if self._path.name.endswith(".parquet") else self._stream).close()

    def commit(self) -> None:
        """Close the file and put it in its place."""
        self._close()
        self._partial.replace(self._path)

    def __exit__(self, *error: object) -> None:
        self._close()
        self._partial.unlink(missing_ok=True)
