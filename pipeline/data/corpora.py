"""Labels of ours for texts of theirs: bring the texts to this machine and check each sentence.

`labels/external/*.jsonl` name public files (repository, commit, path) and spans in them. The texts
belong to others and stay out of the repository; they are fetched once into a git-ignored cache.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.data.download import Download
from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Reject, Row
from pipeline.data.tables import read_rows
from pipeline.errors import InputError, InputErrors, raise_problems
from pipeline.progress import ProgressCallback

CONNECTIONS = 8
# A fetch with more of its files missing is not over: sources that are gone are not counted.
MOST_FAILED = 0.05
FIELDS = ("id", "article", "source", "outlet", "repo", "commit", "path", "start", "length", "sha1", "label")
Source = tuple[str, str, str]  # repository, commit, path
# Returns the bytes of a file that passes the check, or raises OSError; FileNotFoundError where there is none.
Read = Callable[[Source, Callable[[bytes], bool]], bytes]


@dataclass
class FetchedTexts:
    """What came of fetching: sentences that were checked, and what is missing and why."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)  # why -> sentences
    vanished: list[str] = field(default_factory=list)  # files that are gone, by name
    failed: list[str] = field(default_factory=list)  # files that another try may bring, with the reason
    files: int = 0  # that were asked for

    @property
    def sources(self) -> Counter[str]:
        """Sentences by source."""
        return Counter(row["source"] for row in self.rows)

    def describe(self) -> Iterator[str]:
        """Yield lines for people: what is missing, then what is there."""
        names = [*self.vanished, *self.failed]
        yield from (f"missing: {name}" for name in names[: InputErrors.MOST])
        if more := names[InputErrors.MOST :]:
            yield f"missing: {len(more)} more files"
        yield from (f"{count} sentences left out: {why}" for why, count in self.missing.most_common())
        counts = ", ".join(f"{count} {name}" for name, count in self.sources.most_common())
        yield f"{len(self.rows)} sentences of real text ({counts})"


def read_external(folder: Path, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Read the labels that name their text by place; InputError lists broken rows."""
    rows, problems, seen = [], [], set()
    for file in sorted(folder.glob("*.jsonl")):
        for found in read_rows(file):
            if isinstance(found, Reject):
                problems.append(f"{found.where}: {found.why}")
                continue
            missing = [name for name in FIELDS if name not in found.fields]
            if missing:
                problems.append(f"{found.where}: no {', '.join(missing)}; expected {', '.join(FIELDS)}")
            elif found.fields["label"] not in label_names:
                problems.append(f"{found.where}: unknown label; expected {', '.join(label_names)}")
            elif found.fields["id"] in seen:
                problems.append(f"{found.where}: duplicate id {found.fields['id']!r}")
            else:
                seen.add(found.fields["id"])
                rows.append(found.fields)
    raise_problems(problems)
    if not rows:
        raise InputError(folder, "holds no labels", expected="*.jsonl with locators, see its README.md")
    return rows


def read_split(folder: Path) -> dict[str, str]:
    """Return the part of each external document: train, validation or test."""
    rows = list(read_rows(folder / "split.csv", ("article", "split")))
    raise_problems([str(row) for row in rows if isinstance(row, Reject)])
    return {row.fields["article"]: row.fields["split"] for row in rows if isinstance(row, Row)}


def normalize(content: str, path: str) -> str:
    """Return the text that locators count in: an article's field, or a page without its tags; in single spaces."""
    if path.endswith(".json"):
        content = json.loads(content)["content_original"]
    elif path.endswith(".md"):
        content = html.unescape(re.sub(r"<[^>]+>", " ", content))
    return " ".join(content.split())


def fetch_texts(labels: Sequence[dict[str, Any]], read: Read, on_progress: ProgressCallback) -> FetchedTexts:
    """Read each named file once, in parallel, and check each sentence against its sha1.

    When as many files in a row as there are connections cannot be had, the others are not asked for.

    Args:
        labels: rows of `read_external`.
        read: `Download`, or `clones`.
        on_progress: called with how far it is.

    """
    wanted: dict[Source, list[dict[str, Any]]] = defaultdict(list)
    for row in labels:
        wanted[row["repo"], row["commit"], row["path"]].append(row)
    stopped = threading.Event()
    recent: deque[bool] = deque(maxlen=CONNECTIONS)  # whether the last answers failed

    def read_one(source: Source) -> bytes | OSError:
        if stopped.is_set():
            return OSError("not asked for after others failed")
        content: bytes | OSError
        try:
            content = read(source, lambda content: bool(_match(content, source, wanted[source]).rows))
        except OSError as error:
            content = error
        recent.append(_may_come(content))
        if sum(recent) == CONNECTIONS:
            stopped.set()
        return content

    result = FetchedTexts(files=len(wanted))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for number, (source, content) in enumerate(zip(wanted, pool.map(read_one, wanted), strict=True), 1):
                on_progress(number / len(wanted), f"real text: file {number} of {len(wanted)}")
                _add(source, content, wanted[source], result)
        finally:
            stopped.set()
    return result


def _add(source: Source, content: bytes | OSError, rows: list[dict[str, Any]], result: FetchedTexts) -> None:
    name = f"{source[0]}@{source[1][:7]}:{source[2]}"
    if isinstance(content, OSError):
        (result.failed if _may_come(content) else result.vanished).append(f"{name} ({content})")
        result.missing["file cannot be had"] += len(rows)
        return
    found = _match(content, source, rows)
    result.rows += found.rows
    result.missing += found.missing


def _may_come(content: bytes | OSError) -> bool:
    """Say whether a file that did not come may come another time."""
    return isinstance(content, OSError) and not isinstance(content, FileNotFoundError)


def _match(content: bytes, source: Source, rows: Sequence[dict[str, Any]]) -> FetchedTexts:
    """Return the sentences of one file that are as they were labelled."""
    result = FetchedTexts()
    try:
        text = normalize(content.decode("utf-8"), source[2])
    except (ValueError, KeyError, TypeError):
        result.missing["file in another form"] += len(rows)
        return result
    for row in rows:
        sentence = text[row["start"] : row["start"] + row["length"]]
        if len(sentence) != row["length"]:
            result.missing["locator outside the file"] += 1
        else:
            _take(row, sentence, result)
    return result


def _take(row: dict[str, Any], sentence: str, result: FetchedTexts) -> None:
    if hashlib.sha1(sentence.encode(), usedforsecurity=False).hexdigest() != row["sha1"]:
        result.missing["sha1 does not match"] += 1
    else:
        result.rows.append(
            {**{name: row[name] for name in ("id", "article", "source", "outlet", "label")}, "text": sentence}
        )


def clones(folder: Path) -> Read:
    """Return a reader of local clones: FOLDER/owner/name, FOLDER/name, or FOLDER itself."""

    def read(source: Source, check: Callable[[bytes], bool]) -> bytes:
        repository, _, path = source
        for root in (folder / repository, folder / repository.split("/")[-1], folder):
            file = (root / path).resolve()
            if file.is_relative_to(folder.resolve()) and file.is_file():
                return file.read_bytes()
        raise FileNotFoundError("not in the clones")

    return read


def load_texts(files: Sequence[Path], labels: Sequence[dict[str, Any]], label_names: Sequence[str]) -> FetchedTexts:
    """Take sentences from tables that hold them, or their whole articles, already; check each by its sha1.

    A row whose id is a label's is that sentence; one whose id is an article's holds sentences at the
    places that the labels name. Other labelled rows (their sources have no locator) are taken as they are.
    """
    sentences = {row["id"]: row for row in labels}
    articles: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in labels:
        articles[row["article"]].append(row)
    result, problems = FetchedTexts(), []
    for found in (row for file in files for row in read_rows(file)):
        if isinstance(found, Reject):
            problems.append(f"{found.where}: {found.why}")
            continue
        text, key = found.fields.get("text"), found.fields.get("id")
        if not isinstance(text, str) or not isinstance(key, str):
            problems.append(f"{found.where}: no id or text; expected id, article, source, text, label")
        elif key in sentences:
            _take(sentences[key], text, result)
        elif key in articles:
            whole = normalize(text, "")
            for row in articles[key]:
                _take(row, whole[row["start"] : row["start"] + row["length"]], result)
        elif found.fields.get("label") in label_names:
            names = ("id", "article", "source", "outlet", "label", "text")
            result.rows.append({name: found.fields.get(name) or "" for name in names})
        else:
            result.missing["no label for it"] += 1
    raise_problems(problems)
    # A sentence that came twice, in a table and in its article, is one.
    result.rows = list({row["id"]: row for row in result.rows}.values())
    lost = len(sentences.keys() - {row["id"] for row in result.rows})
    result.missing = Counter({"not in the tables, or not as it was labelled": lost}) if lost else Counter()
    return result


def write_corpora(result: FetchedTexts, folder: Path, output: Path) -> None:
    """Write the checked sentences, with the part of their document, for training to read.

    InputError where there is none, or too many files are missing that another try may bring.
    """
    if len(result.failed) > MOST_FAILED * result.files or not result.rows:
        why = result.failed[0] if result.failed else "no file holds the sentences that were labelled"
        what = f"{len(result.failed)} of {result.files} files could not be had: {why}" if result.files else why
        raise InputError(output, what, then="nothing was written; the same command goes on from here")
    split = read_split(folder)
    with write_whole(output) as partial, partial.open("w", encoding="utf-8") as stream:
        for row in sorted(result.rows, key=lambda row: str(row["id"])):
            # A document that is not listed could be anything: it is trained on, never scored on.
            stream.write(json.dumps({**row, "split": split.get(row["article"], "train")}, ensure_ascii=False) + "\n")


def find_host(config: Config) -> str:
    """Return where texts are asked for: what STANCE_CORPORA_HOST or the config says; empty if nobody is to be asked."""
    if os.environ.get("STANCE_OFFLINE", "0") not in ("", "0"):
        return ""
    host = os.environ.get("STANCE_CORPORA_HOST") or config.data.corpora_host or ""
    if host and not host.startswith(("http://", "https://")):
        raise InputError("STANCE_CORPORA_HOST", f"is {host!r}", expected="http:// or https:// and a host")
    return host


def bring_texts(config: Config, on_progress: ProgressCallback) -> str:
    """Fetch the texts of the external labels once, as far as they are not here; return what to say about it.

    Without network, or where nobody is to be asked, training goes on with what is here.
    """
    output, folder = config.data.corpora, config.data.external
    if output is None or not folder.is_dir() or _is_fresh(output, folder):
        return ""
    host, here = find_host(config), "the real text of before" if output.exists() else "no real text, as it was shipped"
    if not host:
        return f"Real text was not asked for (STANCE_OFFLINE or data.corpora_host); training goes on with {here}."
    labels = read_external(folder, config.label_names)
    try:
        result = fetch_texts(labels, Download(host, output.with_name("downloads")), on_progress)
        write_corpora(result, folder, output)
    except (OSError, InputError) as error:
        return f"No new text from {host}: {getattr(error, 'what', error)}; training goes on with {here}."
    return "\n".join(result.describe())


def _is_fresh(output: Path, folder: Path) -> bool:
    return output.exists() and output.stat().st_mtime >= max(file.stat().st_mtime for file in folder.iterdir())
