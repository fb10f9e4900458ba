"""Where a model comes from: the commit of the code, the data, the machine, and the versions it ran with."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

from pipeline import __version__
from pipeline.config import Config
from pipeline.data.annotations import codebook_version

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


def run_tags(config: Config, digest: str) -> dict[str, str]:
    """Return the tags of every run of a config on data of this digest: what tells two runs apart beside options."""
    tags = {"git_commit": git_commit(), "data_digest": digest, "config": config.name}
    tags |= {"python": platform.python_version(), "processor": processor(), "cores": str(os.cpu_count())}
    codebook = "" if config.data.source else codebook_version(config.data.labels)
    return tags | ({"codebook": codebook} if codebook else {})


def requirements() -> str:
    """Return what is installed as a requirements file, a package a line, without what is local to a build."""
    installed = {f"{entry.metadata['Name']}=={entry.version.partition('+')[0]}" for entry in distributions()}
    return "".join(f"{line}\n" for line in sorted(installed, key=str.casefold))


def processor() -> str:
    """Return the processor's name as its maker gives it, where the system says so."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
