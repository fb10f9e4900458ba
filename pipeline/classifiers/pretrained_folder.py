"""The folder of a pretrained model: an adapter, the head over it, how both are calibrated, and their first stage.

What ships lies in `pipeline/pretrained/`, a folder for each size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError

HOME = Path(__file__).parents[1] / "pretrained"
PREFIX = "pretrained/"  # of their names as checkpoints
ADAPTER = "adapter_config.json", "adapter_model.safetensors"
HEAD = "head.json", "head.safetensors"
FIRST_STAGE = "first_stage.json", "first_stage.safetensors"
SECOND_STAGE = "second_stage.json"
EXPERT = "expert.json", "expert.safetensors"
REBUILD = "rebuild it: stance pretrain NAME"


@dataclass(frozen=True)
class Head:
    """The layer over an adapted encoder: the labels it knows, and how its scores are calibrated."""

    encoder: str  # that the adapter was trained on
    encoder_sha256: str  # of its model.safetensors
    label_names: tuple[str, ...]
    coefficients: np.ndarray  # shape (labels, d)
    intercepts: np.ndarray  # shape (labels,)
    facts: dict[str, Any]  # found on the validation part: `calibration`, `abstain` and `decision`


def find_folder(checkpoint: str) -> Path | None:
    """Return the folder of a pretrained model, by its name (`pretrained/small`) or as it is; None: no such model."""
    if checkpoint.startswith(PREFIX):
        folder = HOME / checkpoint.removeprefix(PREFIX)
        if not (folder / HEAD[0]).is_file():
            known = ", ".join(sorted(file.parent.name for file in HOME.glob(f"*/{HEAD[0]}")))
            raise InputError(f"pretrained model {folder.name!r}", "does not ship", expected=f"{known}, or a folder")
        return folder
    return Path(checkpoint) if (Path(checkpoint) / ADAPTER[0]).is_file() else None


def checkpoint_files(checkpoint: str) -> tuple[Path, ...]:
    """Return the files that a checkpoint is made of; none for a name of the hub."""
    if folder := find_folder(checkpoint):
        others = (folder / name for name in (*EXPERT, SECOND_STAGE))
        return (*(folder / name for name in (*ADAPTER, *HEAD)), *(file for file in others if file.exists()))
    folder = Path(checkpoint)
    files = tuple(file for file in sorted(folder.glob("*")) if file.suffix in (".json", ".safetensors", ".txt"))
    if folder.is_dir() and not files:
        raise InputError(folder, "holds no checkpoint", expected="config.json, model.safetensors, tokenizer.json")
    return files


def digest_files(folder: Path, names: Sequence[str]) -> str:
    """Name a folder by the content of some of its files, of those that are there."""
    files = [folder / name for name in names]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()[:16]


@lru_cache(maxsize=4)
def read_head(folder: Path) -> Head:
    """Read the head of a pretrained model; InputError if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        card, arrays = json.loads((folder / HEAD[0]).read_text(encoding="utf-8")), load_file(folder / HEAD[1])
        return Head(
            card["encoder"],
            card["encoder_sha256"],
            tuple(card["label_names"]),
            arrays["coefficients"],
            arrays["intercepts"],
            {"calibration": card["calibration"], "abstain": card.get("abstain"), "decision": card.get("decision", {})},
        )
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise InputError(folder, f"holds no pretrained model ({error!r})", then=REBUILD) from None
