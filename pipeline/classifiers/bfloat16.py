"""Whether to compute in bfloat16: only where this processor is faster in it. Imports torch."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

SHAPE = 256, 384, 1536  # a product as the layers of a small encoder have it: a millisecond or few
ROUNDS = 5
LEAST_GAIN = 1.3  # whoever is as fast in both stays exact, and no chance decides


@lru_cache(maxsize=1)
def prefers_bfloat16() -> bool:
    """Say whether bfloat16 pays on this machine: a GPU says so itself, a processor is measured, once in a process.

    Having the instructions is not enough: without matrix units (AMX) some processors are slower in bfloat16.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return is_worth_it(measure(torch.float32), measure(torch.bfloat16))


def is_worth_it(seconds_float32: list[float], seconds_bfloat16: list[float]) -> bool:
    """Compare the fastest rounds: what else runs on the machine only ever adds time."""
    return min(seconds_float32) > LEAST_GAIN * min(seconds_bfloat16)


def measure(dtype: torch.dtype) -> list[float]:
    """Return the seconds that each of a few matrix products takes."""
    rows, inner, columns = SHAPE
    first, second = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        first @ second
        seconds.append(time.perf_counter() - begin)
    return seconds
