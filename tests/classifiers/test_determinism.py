"""The same numbers: exactly in another process, and within a tolerance at another number of threads."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT

# Trains each candidate on authored sentences of the repository, and stores the scores of others.
TRAIN = """
import json, os, sys

candidates, rows, threads, folder = *map(json.loads, sys.argv[1:4]), sys.argv[4]
if hasattr(os, "sched_setaffinity"):  # ONNX Runtime takes as many threads as there are cores to run on
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

import numpy as np
import torch
from pipeline.classifiers import create
from pipeline.config import Candidate
from pipeline.data.examples import Example

torch.set_num_threads(threads)
examples = [Example(**row) for row in rows]
for kind, options in candidates.items():
    classifier = create(Candidate(name=kind, kind=kind, options=options), random_state=13)
    names = sorted({example.label for example in examples})
    classifier.fit(examples[::2], names, lambda share, words: None)
    np.save(f"{folder}/{kind}.npy", classifier.decision_function([example.text for example in examples[1::2]]))
"""
FINETUNE = {"epochs": 1, "batch_size": 16, "max_length": 32, "validation_share": 0.0}
# The largest difference of a score between one thread and two. Counting words adds in one order whatever the
# number of threads; an encoder in float32 may add in another. So does fine-tuning, in bfloat16 where the processor
# has it (8 bits of mantissa: 0.4 % of a logit, at each of its steps); its logits here are of the order of 1.
TOLERANCE = {"tfidf": 1e-9, "hybrid": 1e-4, "finetune": 0.03}


@pytest.fixture(scope="module")
def scores(repository, shallow, tmp_path_factory):
    """The scores of each kind by three processes: two of one thread, and one of two."""
    rows = [asdict(row) for row in repository.part("train") if row.origin == "authored"]
    rows = [row for label in LABEL_NAMES for row in [row for row in rows if row["label"] == label][:48]]
    encoder = {"checkpoint": shallow, "max_length": 32}
    candidates = {"tfidf": {}, "hybrid": encoder, "finetune": FINETUNE | encoder}
    folders = [tmp_path_factory.mktemp("scores") for _ in range(3)]
    for threads, folder in zip((1, 1, 2), folders, strict=True):
        command = [sys.executable, "-c", TRAIN, *map(json.dumps, (candidates, rows, threads)), str(folder)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    return {kind: [np.load(f"{folder}/{kind}.npy", allow_pickle=False) for folder in folders] for kind in candidates}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", TOLERANCE)
def test_the_same_inputs_give_the_same_scores_whatever_the_number_of_threads(scores, kind):
    first, again, two = scores[kind]
    assert first.std() > 0.01  # it has learned something that could differ
    assert np.array_equal(first, again)
    np.testing.assert_allclose(two, first, rtol=0, atol=TOLERANCE[kind])
