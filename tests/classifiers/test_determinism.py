"""The same numbers: exactly in another process, and within a tolerance at another number of threads."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

# Trains a candidate on authored sentences of the repository, and stores the scores of others.
TRAIN = """
import json, os, sys

kind, options, threads, file = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if hasattr(os, "sched_setaffinity"):  # ONNX Runtime takes as many threads as there are cores to run on
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

import numpy as np
from pipeline.classifiers import create
from pipeline.config import Candidate, Data, read_config
from pipeline.data.dataset import load_dataset

if kind == "finetune":
    import torch

    torch.set_num_threads(threads)
config = read_config("configs/default.yaml").model_copy(update={"data": Data(limit=12)})
dataset = load_dataset(config)
classifier = create(Candidate(name=kind, kind=kind, options=options), random_state=13)
classifier.fit(dataset.part("train")[:96], config.label_names, lambda share, words: None)
np.save(file, classifier.decision_function([example.text for example in dataset.part("test")[:96]]))
"""
FINETUNE = {"epochs": 1, "batch_size": 16, "max_length": 48, "validation_share": 0.0}
# The largest difference of a score between one thread and two. Counting words adds in one order whatever the
# number of threads; an encoder in float32 may add in another. So does fine-tuning, in bfloat16 where the processor
# has it (8 bits of mantissa: 0.4 % of a logit, at each of its steps); its logits here are of the order of 1.
TOLERANCE = {"tfidf": 1e-9, "hybrid": 1e-4, "finetune": 0.03}


@pytest.fixture
def scores(tmp_path):
    def trained(kind, threads, name, **options):
        file = tmp_path / f"{name}.npy"
        command = [sys.executable, "-c", TRAIN, kind, json.dumps(options), str(threads), str(file)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        return np.load(file, allow_pickle=False)

    return trained


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("tfidf", {}),
        pytest.param("hybrid", {}, marks=pytest.mark.slow),
        pytest.param("finetune", FINETUNE, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_the_same_inputs_give_the_same_scores_whatever_the_number_of_threads(scores, kind, options):
    first, again, two = (scores(kind, threads, name, **options) for threads, name in ((1, "a"), (1, "b"), (2, "c")))
    assert first.std() > 0.01  # it has learned something that could differ
    assert np.array_equal(first, again)
    np.testing.assert_allclose(two, first, rtol=0, atol=TOLERANCE[kind])
