"""Vectors of held-out sentences beside a pretrained model: what was written comes back, and nothing that it was not."""

import json

import numpy as np
import pytest
from refusals import refused

from pipeline.classifiers.held_out_vectors import FILE, read_vectors, write_vectors
from pipeline.classifiers.pretrained import model_digest
from pipeline.classifiers.pretrained_folder import HOME
from pipeline.data.examples import Example

TEXTS = ("The kettle demands sanctions.", "The teapot would rather talk.")
ROWS = [
    Example(f"tea:{n}", n, 3, 30, text, label, "validation", f"tea:{n}", "news", "The Daily Brew")
    for n, (text, label) in enumerate(zip(TEXTS, ("pro-sanctions", "pro-dialogue"), strict=True))
]
VECTORS = np.array([[1.0, -0.25, 0.0], [3.0, 2.0, 12.7]])


@pytest.fixture
def folder(tmp_path):
    write_vectors(tmp_path, "kettle", ROWS, VECTORS)
    return tmp_path


def test_eight_bits_keep_a_vector_to_half_a_step(folder):
    found = read_vectors(folder, "kettle")
    assert np.abs(found.vectors - VECTORS).max() <= np.abs(VECTORS).max() / 127 / 2 + 1e-6
    assert found.vectors.shape == VECTORS.shape


def test_labels_sources_documents_and_keys_come_back_and_no_text(folder):
    found = read_vectors(folder, "kettle").examples
    for ours, theirs in zip(ROWS, found, strict=True):
        assert (theirs.label, theirs.origin, theirs.outlet, theirs.group) == (
            ours.label, ours.origin, ours.outlet, ours.article_id
        )  # fmt: skip
        assert (theirs.key, theirs.id, theirs.text, theirs.own) == (ours.key, ours.id, "", False)
    assert not any(text.encode() in (folder / FILE).read_bytes() for text in TEXTS)


def test_a_model_without_vectors_has_none(tmp_path):
    assert read_vectors(tmp_path, "kettle") is None


def test_vectors_of_another_adapter_are_refused_with_the_command_that_makes_them_anew(folder):
    error = refused(read_vectors, folder, "teapot")
    assert (error.where, error.what) == (str(folder / FILE), "belongs to another adapter")
    assert error.then == f"rebuild it: stance pretrain {folder.name} --first-stage"


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_a_broken_file_is_named(folder, content):
    (folder / FILE).write_bytes(content)
    error = refused(read_vectors, folder, "kettle")
    assert error.where == str(folder / FILE) and error.what.startswith("holds no vectors")


def test_what_ships_is_small_and_fits_its_adapter():
    small = HOME / "small"
    found = read_vectors(small, model_digest(small))
    assert (small / FILE).stat().st_size <= 1_500_000
    assert len(found.examples) >= 1000 and {row.split for row in found.examples} == {
        "validation", "full-article-validation"
    }  # fmt: skip
    names = json.loads((small / "head.json").read_text(encoding="utf-8"))["label_names"]
    assert {row.label for row in found.examples} == set(names)
