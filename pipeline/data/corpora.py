"""Texts of theirs on this machine: fetched once, found in clones or tables, every sentence checked.

They belong to others and stay out of the repository, in a git-ignored cache.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.data.download import Read, Source, clones, downloads
from pipeline.data.external import KEPT, FetchedTexts, match, match_file, normalize, read_external, read_split, take
from pipeline.data.files import write_whole
from pipeline.data.formats.rows import Row
from pipeline.data.tables import check_rows, read_rows
from pipeline.errors import InputError
from pipeline.progress import ProgressCallback

CONNECTIONS = 8
# A fetch with more of its files missing is not over: sources that are gone are not counted.
MOST_FAILED = 0.05


def fetch_texts(labels: Sequence[dict[str, Any]], read: Read, on_progress: ProgressCallback) -> FetchedTexts:
    """Read each named file once, in parallel, and check each sentence against its sha1.

    When as many files in a row as there are connections cannot be had, the others are not asked for.
    """
    wanted: dict[Source, list[dict[str, Any]]] = defaultdict(list)
    for row in labels:
        wanted[row["repo"], row["commit"], row["path"]].append(row)
    failed = deque([False] * CONNECTIONS, CONNECTIONS)  # whether the last answers were none that another try may bring

    def read_one(source: Source) -> bytes | OSError:
        if all(failed):
            return OSError("not asked for after others failed")
        try:
            content = read(source, lambda content: match_file(content, source[2], wanted[source], FetchedTexts()))
        except OSError as error:
            failed.append(not isinstance(error, FileNotFoundError))
            return error
        failed.append(False)
        return content

    result = FetchedTexts(files=len(wanted))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for number, (source, content) in enumerate(zip(wanted, pool.map(read_one, wanted), strict=True), 1):
                on_progress(number / len(wanted), f"real text: file {number} of {len(wanted)}")
                if isinstance(content, bytes):
                    match_file(content, source[2], wanted[source], result)
                else:
                    missing = result.vanished if isinstance(content, FileNotFoundError) else result.failed
                    missing.append(f"{source[0]}@{source[1][:7]}:{source[2]} ({content})")
                    result.missing["file cannot be had"] += len(wanted[source])
        finally:
            pool.shutdown(cancel_futures=True)
    return result


def collect_texts(
    sources: Sequence[Path], labels: Sequence[dict[str, Any]], label_names: Sequence[str], on_progress: ProgressCallback
) -> FetchedTexts:
    """Take sentences from tables as far as they hold them, and the others from clones; InputError for neither."""
    tables, folders = [file for file in sources if file.is_file()], [file for file in sources if file.is_dir()]
    if gone := [file for file in sources if file not in (*tables, *folders)]:
        raise InputError(gone[0], "no such file or folder", expected="a folder of clones, or a table")
    texts = load_texts(tables, labels, label_names) if tables else FetchedTexts()
    if folders:
        known = {row["id"] for row in texts.rows}
        others = fetch_texts([row for row in labels if row["id"] not in known], clones(*folders), on_progress)
        texts = replace(others, rows=[*texts.rows, *others.rows])
    return texts


def load_texts(files: Sequence[Path], labels: Sequence[dict[str, Any]], label_names: Sequence[str]) -> FetchedTexts:
    """Take sentences from tables that hold them, or their whole articles, already; check each by its sha1.

    A row whose id is a label's is that sentence; one whose id is an article's holds sentences at the
    places that the labels name. Other labelled rows (their sources have no locator) are taken as they are.
    """
    sentences = {label["id"]: label for label in labels}
    articles: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for label in labels:
        articles[label["article"]].append(label)
    texts = FetchedTexts()

    def take_row(row: Row) -> None:
        text, key = row.fields.get("text"), row.fields.get("id")
        if not isinstance(text, str) or not isinstance(key, str):
            raise InputError(row.where, "no id or text", expected="id, article, source, text, label")
        if key in sentences:
            take(sentences[key], text, texts)
        elif key in articles:
            match(normalize(text), articles[key], texts)
        elif row.fields.get("label") in label_names:
            texts.rows.append({name: row.fields.get(name) or "" for name in (*KEPT, "text")})

    check_rows(chain.from_iterable(map(read_rows, files)), take_row)
    # A sentence that came twice, in a table and in its article, is one.
    rows = list({sentence["id"]: sentence for sentence in texts.rows}.values())
    lost = len(sentences.keys() - {sentence["id"] for sentence in rows})
    return FetchedTexts(rows, Counter({"not in the tables, or not as it was labelled": lost} if lost else {}))


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
        result = fetch_texts(labels, downloads(host, output.with_name("downloads")), on_progress)
        write_corpora(result, folder, output)
    except (OSError, InputError) as error:
        return f"No new text from {host}: {getattr(error, 'what', error)}; training goes on with {here}."
    return "\n".join(result.describe())


def _is_fresh(output: Path, folder: Path) -> bool:
    return output.exists() and output.stat().st_mtime >= max(file.stat().st_mtime for file in folder.iterdir())
