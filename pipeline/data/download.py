"""Files from a host: asked for again where that may help, and kept on this machine once they were checked."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.files import write_whole

TIMEOUT = 10  # seconds without a byte
TRIES = 3
PAUSE = 0.5  # seconds before the second try; each later one waits twice as long
GONE = (404, 410)  # answers that no other try changes


@dataclass(frozen=True)
class Download:
    """Fetches files below a host, each of them once."""

    host: str
    folder: Path  # what was fetched

    def __call__(self, source: Sequence[str], check: Callable[[bytes], bool]) -> bytes:
        """Return the bytes of a file, from the folder if it is there.

        Args:
            source: the parts of the file's address below the host.
            check: whether this is the file that was meant; a page to log in is none.

        FileNotFoundError: the host has no such file. OSError: another try may succeed.

        """
        url = f"{self.host.rstrip('/')}/{'/'.join(urllib.parse.quote(part) for part in source)}"
        file = self.folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        if file.exists() and check(content := file.read_bytes()):
            return content
        content = _fetch(url)
        if not check(content):
            raise OSError("the answer is another text")
        with write_whole(file) as partial:
            partial.write_bytes(content)
        return content


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
