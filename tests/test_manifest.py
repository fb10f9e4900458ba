"""A folder that somebody changed, checksums and all: it works or is refused in one line, whatever was changed."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from refusals import refused
from safetensors.numpy import load, save

from pipeline.bundle import AGAIN, load_bundle, write_bundle
from pipeline.classifiers import create
from pipeline.classifiers.ensemble import Ensemble
from pipeline.config import Candidate, TopicWords
from pipeline.data.examples import Example
from pipeline.errors import InputError
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.decision import DecisionRule

TEXTS = ["", "Tougher sanctions, or talks?", "A #hashtag of #noodles.", "soup " * 900]
KINDS = ("majority", "keywords", "tfidf", "ensemble")
SENTENCES = ("Enforce the sanctions on soup.", "Talks are #noodles for all.", "It rained on #noodles and soup.")


def candidate(kind):
    options = {"keywords": {"lexicon": str(ROOT / "configs/lexicon.yaml")}, "tfidf": {"min_df": 1}}
    return Candidate(name=kind, kind=kind, options=options.get(kind, {}))


def fitted(kind):
    if kind == "ensemble":
        members = [candidate(member) for member in ("keywords", "tfidf")]
        return Ensemble.of([(member, fitted(member.kind), Calibration()) for member in members], [0.5, 0.5])
    classifier = create(candidate(kind))
    rows = [Example(f"a{i}", 0, 0, 1, SENTENCES[i % 3], LABEL_NAMES[i % 3], "train", f"a{i}") for i in range(9)]
    classifier.fit(rows, LABEL_NAMES, lambda share, words: None)
    return classifier


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """An exported model of each kind that learns in no time."""
    folder = tmp_path_factory.mktemp("exports")
    for kind in KINDS:
        known = make_manifest(
            candidate=candidate(kind),
            calibration=Calibration(0.5, (0.1, 0.2, 0.0)),
            decision=DecisionRule((0.5, 0.0, 0.0)),
            out_of_fold={"kimchi.txt:0-12": (0.2, 0.3, 0.5)},
            positive=LABEL_NAMES[:1],
        )
        write_bundle(folder / kind, fitted(kind), known, "# A card\n")
    return folder


@pytest.fixture
def forge(exports, tmp_path):
    """Copy an export, change files or manifest, and make every checksum right again."""

    def forged(kind, change=lambda manifest: None, **files):
        folder = tmp_path / "forged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(exports / kind, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        for stem, content in files.items():
            (name,) = (path.name for path in folder.iterdir() if path.stem == stem)
            (folder / name).write_bytes(content)
            manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
        changed = change(manifest)
        manifest = manifest if changed is None else changed
        if isinstance(manifest, dict):
            rest = {key: value for key, value in manifest.items() if key != "checksum"}
            manifest["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return forged


def refusal(folder):
    return check_line(refused(load_bundle, folder), folder)


def check_line(error, folder):
    assert error.where.startswith(str(folder)) and str(error).isprintable() and len(str(error)) < 600
    return error


def check(folder):
    """Load a folder; where it is not refused in a line, it labels."""
    try:
        bundle = load_bundle(folder)
    except InputError as error:
        check_line(error, folder)
        return
    probabilities = bundle.predict_proba([bundle.read(text, "soup") for text in TEXTS])
    assert probabilities.shape == (len(TEXTS), len(bundle.label_names))
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert set(bundle.decide(probabilities)) <= set(range(len(bundle.label_names)))


# One at a time


CHANGES = {
    "a path for a name": lambda m: m["sha256"].update({"../../etc/passwd": "0" * 64}),
    "dots for a name": lambda m: m["sha256"].update({"..": "0" * 64}),
    "an invisible name": lambda m: m["sha256"].update({"a\0b\x1b[31m": "0" * 64}),
    "a name too long": lambda m: m["sha256"].update({"a" * 300: "0" * 64}),
    "no checksums": lambda m: m.pop("sha256"),
    "a list of checksums": lambda m: m.update(sha256=[1]),
    "a number for a checksum": lambda m: m["sha256"].update({"README.md": 5}),
    "no values": lambda m: m["sha256"].pop("values.json"),
    "another kind": lambda m: m.update(candidate={"kind": "os.system", "name": "x", "options": {}}),
    "no candidate": lambda m: m.update(candidate=[1]),
    "the state of another kind": lambda m: m.update(candidate={"kind": "tfidf", "name": "x", "options": {}}),
    "an unknown option": lambda m: m["candidate"]["options"].update(soup=1),
    "a temperature of zero": lambda m: m.update(calibration={"temperature": 0, "bias": []}),
    "an endless temperature": lambda m: m.update(calibration={"temperature": float("inf"), "bias": []}),
    "a bias too short": lambda m: m.update(calibration={"temperature": 1, "bias": [1, 2]}),
    "a word for a calibration": lambda m: m.update(calibration="x"),
    "offsets too short": lambda m: m.update(decision={"offsets": [1]}),
    "an offset that is no number": lambda m: m.update(decision={"offsets": [0, 0, float("nan")]}),
    "no labels": lambda m: m.pop("label_names"),
    "fewer labels": lambda m: m.update(label_names=["a", "b"], out_of_fold={}, positive=[]),
    "more labels": lambda m: m.update(label_names=[*LABEL_NAMES, "d"]),
    "a label twice": lambda m: m.update(label_names=[*LABEL_NAMES[:2], LABEL_NAMES[0]]),
    "a label that no column can hold": lambda m: m.update(label_names=["<b>\x1b[2J", "=1+1", "p"]),
    "labels with one column": lambda m: m.update(label_names=["a b", "a-b", "c"], positive=[]),
    "a positive label that is none": lambda m: m.update(positive=["soup"]),
    "out of fold, too short": lambda m: m.update(out_of_fold={"a": [1.0]}),
    "half a first stage": lambda m: m.update(first_stage={"step": 1}),
    "a first stage without its file": lambda m: m.update(
        first_stage={"step": 1, "intercept": 0, "threshold": 0, "rest": [0.5, 0.5, 0]}
    ),
    "a date that leads elsewhere": lambda m: m.update(created="../../../etc"),
    "a run that asks for more": lambda m: m.update(run_id="x' or '1'='1"),
    "a threshold above 1": lambda m: m["abstention"].update(confidence=7),
    "fewer rows than none": lambda m: m["abstention"].update(rows=-1),
    "an older format": lambda m: m.update(format=1),
    "a list": lambda m: [m],
    "nothing": lambda m: {},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_cannot_be_is_one_line(forge, name):
    assert refusal(forge("majority", CHANGES[name])).then == AGAIN


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"3", b"{}", b"[" * 100_000, b'{"phrases": ' + b"[" * 900 + b"]" * 900 + b"}"],
    ids=range(8),
)
def test_values_that_cannot_be_are_one_line(forge, content):
    assert refusal(forge("keywords", values=content)).what.startswith("cannot be loaded")


@pytest.mark.parametrize(
    "scores",
    [np.zeros(2), np.zeros(1), np.zeros((3, 3)), np.full(3, np.nan), np.full(3, np.inf), np.zeros(0), np.zeros((1, 3))],
    ids=["two", "one", "a square", "no numbers", "endless", "none", "a row"],
)
def test_arrays_of_another_shape_are_one_line(forge, scores):
    check(forge("majority", arrays=save({"scores": scores})))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, (2**50).to_bytes(8, "little"), save({}), save({"x": np.ones(3)})]
)
def test_arrays_that_are_none_are_one_line(forge, content):
    assert refusal(forge("majority", arrays=content)).what.startswith("cannot be loaded")


@pytest.mark.parametrize("kind", ["tfidf", "ensemble"])
@pytest.mark.parametrize("place", range(8))
def test_an_array_that_is_cut_is_one_line(forge, exports, kind, place):
    arrays = load((exports / kind / "arrays.safetensors").read_bytes())
    name = sorted(arrays)[place % len(arrays)]
    folder = forge(kind, arrays=save(arrays | {name: arrays[name][..., :-1].copy()}))
    assert refusal(folder).what.startswith("cannot be loaded")


@pytest.mark.parametrize("name", ["README.md", "manifest.json", "values.json"])
@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_waited_for(forge, name, put):
    folder = forge("majority")
    (folder / name).unlink()
    put(folder / name)
    assert refusal(folder)


@pytest.mark.parametrize("folder", ["x" * 300, "a\0b", "no such folder", ""])
def test_a_path_that_cannot_be_is_one_line(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refused(load_bundle, folder)
    assert (error.what, error.then) == ("holds no exported model", "run `make train` first")


def test_what_training_says_is_checked_as_well():
    with pytest.raises(ValidationError) as caught:
        make_manifest(calibration=Calibration(1.0, (0.0, 1.0)))
    message = caught.value.errors()[0]["msg"]
    assert "calibration.bias" in message and "2 values for 3 labels" in message


# Anything at all


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 10**30, 10**400, 1e308, -1e-308, float("nan"), float("inf"), -float("inf")]),
    st.text(max_size=5),
    st.sampled_from(["../x", "\x1b[2J", "a" * 1000, "[" * 500, "(a+", "majority"]),
    st.sampled_from([[], {}, [[]], {"a": 1}, [1, 2, 3], ["a"], [0.1, 0.2, 0.7]]),
    st.just(json.loads("[" * 60 + "]" * 60)),
)


def places(value, path=()):
    """Yield the path to everything in a value of JSON."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


RUNS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RUNS
@given(st.data(), ODD)
def test_any_value_of_a_manifest_may_be_anything(exports, forge, data, odd):
    paths = list(places(json.loads((exports / "majority" / "manifest.json").read_text())))
    check(forge("majority", lambda manifest: changed(manifest, data.draw(st.sampled_from(paths)), odd)))


@pytest.mark.parametrize("kind", ["keywords", "tfidf", "ensemble"])
@RUNS
@given(st.data(), ODD)
def test_any_stored_value_of_a_classifier_may_be_anything(exports, forge, kind, data, odd):
    values = json.loads((exports / kind / "values.json").read_text())
    # Long lists of terms are all alike.
    paths = [path for path in places(values) if not path or not isinstance(path[-1], int) or path[-1] < 3]
    new = changed(values, data.draw(st.sampled_from(paths)), odd)
    check(forge(kind, values=json.dumps(new).encode()))


def test_a_model_of_before_topics_and_languages_keeps_its_checksum():
    old = make_manifest().model_dump(mode="json", exclude={"checksum", "topic_words", "language"})
    expected = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    assert make_manifest().checksum_of_rest() == expected != make_manifest(language="en").checksum_of_rest()
    words = TopicWords(topic=("soup",))
    assert make_manifest(topic_words=words).checksum_of_rest() not in (expected, make_manifest().checksum_of_rest())
