"""Whether to compute in bfloat16: by the clock, and not by what a processor says it can do."""

import pytest
import torch

from pipeline.classifiers import bfloat16
from pipeline.classifiers.bfloat16 import is_worth_it, measure, prefers_bfloat16


@pytest.fixture
def decide(monkeypatch):
    """Decide anew, for a processor that takes these seconds."""

    def decided(supported, seconds):
        prefers_bfloat16.cache_clear()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported, raising=False)
        monkeypatch.setattr(bfloat16, "measure", lambda dtype: seconds[dtype])
        return prefers_bfloat16()

    yield decided
    prefers_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("float32", "bfloat16", "worth"),
    [
        ([8.5], [12.4], False),  # AVX512 without matrix units: slower
        ([3.0], [3.0], False),
        ([3.0], [2.5], False),  # a little faster is as good as chance
        ([3.0], [1.0], True),  # matrix units
        ([9.0, 3.0, 9.0], [1.0, 9.0], True),  # whatever else ran beside it
        ([9.0, 9.0, 1.0], [1.0, 0.9], False),
    ],
)
def test_it_must_be_clearly_faster_in_the_best_rounds(float32, bfloat16, worth):
    assert is_worth_it(float32, bfloat16) is worth


def test_a_processor_is_measured(decide):
    assert decide(True, {torch.float32: [3.0], torch.bfloat16: [1.0]}) is True
    assert decide(True, {torch.float32: [1.0], torch.bfloat16: [3.0]}) is False


def test_a_processor_without_the_instructions_is_not_measured(decide):
    assert decide(False, {}) is False


def test_it_is_measured_once(decide, monkeypatch):
    assert decide(True, {torch.float32: [3.0], torch.bfloat16: [1.0]})
    monkeypatch.setattr(bfloat16, "measure", lambda dtype: pytest.fail("measured again"))
    assert prefers_bfloat16()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_measurement_takes_a_moment(dtype):
    seconds = measure(dtype)
    assert len(seconds) == bfloat16.ROUNDS and 0 < min(seconds) < 1
