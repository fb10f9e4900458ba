"""Where a model comes from, beside its data: the commit of the code, and the versions it ran with."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from pipeline import __version__

LIBRARIES = ("numpy", "scikit-learn", "torch", "transformers", "tokenizers", "onnxruntime")


def git_commit() -> str:
    """Return the commit of the code that runs, `-dirty` where files were changed; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the libraries that a model hangs on."""
    own = {"stance-pipeline": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in LIBRARIES}
