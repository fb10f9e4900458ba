"""Files that others published: downloaded and kept once they were checked, or read from local clones."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pipeline.data.files import write_whole

TIMEOUT = 10  # seconds without a byte
TRIES = 3
PAUSE = 0.5  # seconds before the second try; each later one waits twice as long
GONE = (404, 410)  # answers that no other try changes

Source = tuple[str, str, str]  # repository, commit, path
# Returns the bytes of a file that passes the check (a page to log in does not), or raises OSError: FileNotFoundError
# where there is no such file, another one where another try may succeed.
Read = Callable[[Source, Callable[[bytes], bool]], bytes]


def downloads(host: str, folder: Path) -> Read:
    """Return a reader of files below a host, each of which is fetched once and kept in a folder."""

    def read(source: Source, check: Callable[[bytes], bool]) -> bytes:
        url = f"{host.rstrip('/')}/{'/'.join(map(urllib.parse.quote, source))}"
        file = folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        if file.exists() and check(content := file.read_bytes()):
            return content
        content = _fetch(url)
        if not check(content):
            raise OSError("the answer is another text")
        with write_whole(file) as partial:
            partial.write_bytes(content)
        return content

    return read


def clones(*folders: Path) -> Read:
    """Return a reader of local clones: FOLDER/owner/name, FOLDER/name, or FOLDER itself."""

    def read(source: Source, check: Callable[[bytes], bool]) -> bytes:
        repository, _, path = source
        for folder in folders:
            for root in (folder / repository, folder / repository.split("/")[-1], folder):
                file = (root / path).resolve()
                if file.is_relative_to(folder.resolve()) and file.is_file():
                    return file.read_bytes()
        raise FileNotFoundError("not in the clones")

    return read


def _fetch(url: str) -> bytes:
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - a host is http or https
                return answer.read()  # raises if less comes than was promised
        except urllib.error.HTTPError as error:
            error.close()
            why = f"HTTP {error.code}"
            if error.code in GONE:
                raise FileNotFoundError(why) from None
        except http.client.HTTPException as error:
            why = f"the answer broke off ({error})"
        except OSError as error:
            why = str(getattr(error, "reason", error))
    raise OSError(why)
