"""Labels of ours for texts of theirs: bring the texts to this machine and check each sentence.

`labels/external/*.jsonl` name public files (repository, commit, path) and spans in them. The texts
belong to others and stay out of the repository; they are fetched once into a git-ignored cache.
"""

from __future__ import annotations

import hashlib
import html
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.data.formats.rows import Reject, Row
from pipeline.data.tables import read_rows
from pipeline.errors import InputError, raise_problems
from pipeline.progress import ProgressCallback

HOST = "https://raw.githubusercontent.com"
CONNECTIONS = 8
TIMEOUT = 60  # seconds
FIELDS = ("id", "article", "source", "outlet", "repo", "commit", "path", "start", "length", "sha1", "label")
Source = tuple[str, str, str]  # repository, commit, path


@dataclass
class FetchedTexts:
    """What came of fetching: sentences that were checked, and what is missing and why."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)  # why -> sentences
    vanished: list[str] = field(default_factory=list)  # files by name

    @property
    def sources(self) -> Counter[str]:
        """Sentences by source."""
        return Counter(row["source"] for row in self.rows)


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


def fetch_texts(
    labels: Sequence[dict[str, Any]],
    read: Callable[[Source], bytes],
    on_progress: ProgressCallback,
) -> FetchedTexts:
    """Read each named file once, in parallel, and check each sentence against its sha1.

    Args:
        labels: rows of `read_external`.
        read: returns the bytes of a file, or raises OSError.
        on_progress: told how far it is.

    """
    wanted: dict[Source, list[dict[str, Any]]] = defaultdict(list)
    for row in labels:
        wanted[row["repo"], row["commit"], row["path"]].append(row)

    def one(source: Source) -> bytes | OSError:
        try:
            return read(source)
        except OSError as error:
            return error

    result = FetchedTexts()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for number, (source, content) in enumerate(zip(wanted, pool.map(one, wanted), strict=True), 1):
            on_progress(number / len(wanted), f"file {number} of {len(wanted)}")
            _check(source, content, wanted[source], result)
    return result


def _check(source: Source, content: bytes | OSError, rows: list[dict[str, Any]], result: FetchedTexts) -> None:
    name = f"{source[0]}@{source[1][:7]}:{source[2]}"
    if isinstance(content, OSError):
        result.vanished.append(f"{name} ({content})")
        result.missing["file cannot be had"] += len(rows)
        return
    try:
        text = normalize(content.decode("utf-8"), source[2])
    except (ValueError, KeyError, TypeError):
        result.vanished.append(f"{name} (not in the form that was labelled)")
        result.missing["file in another form"] += len(rows)
        return
    for row in rows:
        sentence = text[row["start"] : row["start"] + row["length"]]
        if len(sentence) != row["length"]:
            result.missing["locator outside the file"] += 1
        else:
            _take(row, sentence, result)


def _take(row: dict[str, Any], sentence: str, result: FetchedTexts) -> None:
    if hashlib.sha1(sentence.encode(), usedforsecurity=False).hexdigest() != row["sha1"]:
        result.missing["sha1 does not match"] += 1
    else:
        result.rows.append(
            {**{name: row[name] for name in ("id", "article", "source", "outlet", "label")}, "text": sentence}
        )


def download(cache: Path, host: str = HOST) -> Callable[[Source], bytes]:
    """Return a reader that downloads a file once; what is in the cache is not fetched again."""

    def read(source: Source) -> bytes:
        url = f"{host}/{'/'.join(urllib.parse.quote(part) for part in source)}"
        file = cache / hashlib.sha256(url.encode()).hexdigest()[:32]
        if not file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - https, or a test's server
                    content = answer.read()  # raises if less comes than was promised
            except urllib.error.HTTPError as error:
                error.close()
                raise OSError(f"HTTP {error.code}") from None
            except http.client.HTTPException as error:
                raise OSError(f"the answer broke off ({error})") from None
            partial = file.with_suffix(".partial")
            partial.write_bytes(content)
            partial.replace(file)
        return file.read_bytes()

    return read


def clones(folder: Path) -> Callable[[Source], bytes]:
    """Return a reader of local clones: FOLDER/owner/name, FOLDER/name, or FOLDER itself."""

    def read(source: Source) -> bytes:
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


def write_corpora(result: FetchedTexts, split: dict[str, str], file: Path) -> None:
    """Write the checked sentences, with the part of their document, for training to read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        for row in sorted(result.rows, key=lambda row: str(row["id"])):
            # A document that is not listed could be anything: it is trained on, never scored on.
            stream.write(json.dumps({**row, "split": split.get(row["article"], "train")}, ensure_ascii=False) + "\n")
    partial.replace(file)
