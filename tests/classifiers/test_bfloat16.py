"""Whether to compute in bfloat16: by the clock, and not by what a processor says it can do."""

import pytest
import torch

from pipeline.classifiers import encoding
from pipeline.classifiers.encoding import measure, prefers_bfloat16


@pytest.fixture
def decide(monkeypatch):
    """Decide anew, for a processor that takes these seconds."""

    def decided(supported, seconds):
        prefers_bfloat16.cache_clear()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported, raising=False)
        monkeypatch.setattr(encoding, "measure", lambda dtype: seconds[dtype])
        return prefers_bfloat16()

    yield decided
    prefers_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("float32", "bfloat16", "worth"),
    [
        (8.5, 12.4, False),  # AVX512 without matrix units: slower
        (3.0, 3.0, False),
        (3.0, 2.5, False),  # a little faster is as good as chance
        (3.0, 1.0, True),  # matrix units
    ],
)
def test_a_processor_must_be_clearly_faster_in_it(decide, float32, bfloat16, worth):
    assert decide(True, {torch.float32: float32, torch.bfloat16: bfloat16}) is worth


def test_a_processor_without_the_instructions_is_not_measured(decide):
    assert decide(False, {}) is False


def test_it_is_measured_once(decide, monkeypatch):
    assert decide(True, {torch.float32: 3.0, torch.bfloat16: 1.0})
    monkeypatch.setattr(encoding, "measure", lambda dtype: pytest.fail("measured again"))
    assert prefers_bfloat16()


def test_the_fastest_round_counts(monkeypatch):
    """What else runs on the machine only ever adds time."""
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 29.0, 30.0, 39.0, 40.0, 49.0])
    monkeypatch.setattr(encoding.timeit.Timer, "timeit", lambda timer, number: -next(clock) + next(clock))
    assert measure(torch.float32) == 3.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_measurement_takes_a_moment(dtype):
    assert 0 < measure(dtype) < 1
