import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import LABEL_NAMES, make_manifest
from refusals import refused
from tokenizers import Tokenizer, models

from pipeline import load
from pipeline.bundle import AGAIN, MANIFEST, load_bundle, read_manifest, write_bundle
from pipeline.classifiers import State, cascade, create, pieces
from pipeline.classifiers.pretrained_folder import read_head
from pipeline.config import Candidate
from pipeline.scoring.calibration import Calibration

TEXTS = ["Sanctions must bite.", "Talks should go on.", "It rained in Wonsan.", ""]
MAJORITY = Candidate(name="majority", kind="majority")


def majority(*scores):
    classifier = create(MAJORITY)
    classifier.restore(State(arrays={"scores": np.array(scores)}))
    return classifier


@pytest.fixture
def write(tmp_path):
    """Write an export that always answers with the same scores."""

    def written(classifier=None, calibration=None, folder=tmp_path / "champion"):
        manifest = make_manifest(calibration=calibration or Calibration())
        write_bundle(folder, classifier or majority(0.0, 1.0, 2.0), manifest, "# A card\n")
        return folder

    return written


@pytest.fixture
def copy(champion, tmp_path):
    """Copy the champion, to break it."""
    return shutil.copytree(champion, tmp_path / "champion")


def refusal(folder):
    return refused(load_bundle, folder)


def rewrite(folder, change):
    """Change the manifest and its checksum, as somebody who knows how would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    manifest["checksum"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


# There and back


def test_an_export_gives_the_probabilities_of_what_was_exported(write):
    classifier, calibration = majority(0.0, 1.0, 2.0), Calibration(2.0, (0.5, 0.0, 0.0))
    loaded = load_bundle(write(classifier, calibration))
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), calibration.apply(classifier.decision_function(TEXTS)))


def test_an_export_of_a_learned_model_gives_the_same_probabilities_again(bundle, tmp_path):
    write_bundle(tmp_path / "again", bundle.classifier, bundle.manifest, "")
    np.testing.assert_array_equal(load_bundle(tmp_path / "again").predict_proba(TEXTS), bundle.predict_proba(TEXTS))


def test_probabilities_add_up_to_one(bundle):
    np.testing.assert_allclose(bundle.predict_proba(TEXTS).sum(1), 1)


def test_a_wrapped_sentence_is_the_same_sentence(bundle):
    flat, wrapped = bundle.predict_proba(["Sanctions must bite.", "Sanctions\r\nmust  bite."])
    assert flat.tolist() == wrapped.tolist()


def test_an_export_knows_its_label_names(bundle):
    assert bundle.label_names == LABEL_NAMES


def test_an_export_holds_what_the_training_knew(write):
    known = make_manifest()
    assert read_manifest(write()).model_copy(update={"sha256": known.sha256, "checksum": ""}) == known


def test_an_export_has_its_card(write):
    assert (write() / "README.md").read_text() == "# A card\n"


def test_the_manifest_names_every_other_file(champion):
    names = {path.name for path in champion.iterdir()} - {"manifest.json"}
    assert read_manifest(champion).sha256.keys() == names


def test_nothing_in_an_export_can_run(champion):
    assert {path.suffix for path in champion.iterdir()} <= {".json", ".safetensors", ".md", ".onnx"}


def test_no_file_of_an_export_is_a_pickle(champion):
    starts = [path.read_bytes()[:2] for path in champion.iterdir()]
    assert starts and not any(start[:1] == b"\x80" or start == b"PK" for start in starts)


def test_the_same_export_has_the_same_digest(write, tmp_path):
    assert load_bundle(write()).digest == load_bundle(write(folder=tmp_path / "again")).digest


def test_another_model_has_another_digest(write, tmp_path):
    other = write(majority(2.0, 1.0, 0.0), folder=tmp_path / "other")
    assert load_bundle(write()).digest != load_bundle(other).digest


# Whole or not at all


def test_a_new_export_takes_the_place_of_the_old(write):
    write(majority(9.0, 0.0, 0.0))
    assert load_bundle(write(majority(0.0, 0.0, 9.0))).predict_proba(["Soup."]).argmax() == 2


def test_nothing_but_the_export_is_left(write, tmp_path):
    write()
    write()
    assert [path.name for path in tmp_path.iterdir()] == ["champion"]


def test_what_an_earlier_try_left_is_cleared(write, tmp_path):
    (tmp_path / ".champion.partial").mkdir()
    (tmp_path / ".champion.partial" / "crumbs").write_text("crumbs")
    assert not (write() / "crumbs").exists()


class Stateless:
    def state(self):
        raise ValueError("the soup is spilled")


class Unwritable:
    def state(self):
        return State(blobs={"no/such/folder": b"soup"})


@pytest.mark.parametrize("classifier", [Stateless(), Unwritable()])
def test_an_export_that_fails_midway_leaves_the_old_one_standing(write, classifier):
    folder = write()
    before = load_bundle(folder).digest
    with pytest.raises((ValueError, OSError)):
        write(classifier)
    assert load_bundle(folder).digest == before


# What is refused


@pytest.mark.parametrize("name", ["README.md", "arrays.safetensors", "values.json", "manifest.json"])
def test_a_changed_byte_is_refused(copy, name):
    checksum = read_manifest(copy).sha256.get(name)
    content = bytearray((copy / name).read_bytes())
    content[content.rindex(b"e")] = ord("f")
    (copy / name).write_bytes(content)
    error = refusal(copy)
    assert (error.where, error.then) == (str(copy / name), AGAIN)
    if checksum:  # the manifest has no place for its own
        assert error.what.startswith("was changed after the export") and error.expected == f"{checksum[:12]}..."


def test_labels_in_another_order_are_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["label_names"].reverse()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    error = refusal(copy)
    assert (error.where, error.what, error.then) == (str(copy / MANIFEST), "was changed after the export", AGAIN)


@pytest.mark.parametrize("name", ["README.md", "arrays.safetensors", "values.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    error = refusal(copy)
    assert (error.where, error.what, error.then) == (str(copy / name), "is missing", AGAIN)


def test_a_folder_without_a_manifest_is_no_export(tmp_path):
    error = refusal(tmp_path)
    assert (error.where, error.what) == (str(tmp_path), "holds no exported model")
    assert error.then == "run `make train` first"


@pytest.mark.parametrize(
    "content", [b"", b"{soup", b"\xff", b"[]", b"{}", b"38", b"[" * 200_000, b'{"topic": "\\ud800"}']
)
def test_a_manifest_of_another_shape_is_refused(copy, content):
    (copy / "manifest.json").write_bytes(content)
    assert refusal(copy).where == str(copy / MANIFEST)


def test_an_export_of_an_older_version_is_refused(copy):
    rewrite(copy, lambda manifest: manifest.update(format=1, seal="0", abstain={}))
    error = refusal(copy)
    assert (error.what, error.then) == ("`format`: Input should be 2", AGAIN)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "sub/x", ".."])
def test_a_manifest_cannot_point_out_of_its_folder(copy, name):
    (copy.parent / "x").write_text("soup")
    (copy / "sub").mkdir()
    (copy / "sub" / "x").write_text("soup")
    rewrite(copy, lambda manifest: manifest["sha256"].update({name: "0" * 64}))
    assert refusal(copy).what.startswith("`sha256.")


def test_a_manifest_cannot_name_an_unknown_kind(copy):
    rewrite(copy, lambda manifest: manifest["candidate"].update(kind="os.system"))
    assert "unknown kind 'os.system'" in refusal(copy).what


# Two stages


class Sure:
    """A first stage that is sure of soup."""

    weights = np.zeros(3, np.int8)

    def answer(self, texts):
        sure = np.array(["soup" in text for text in texts])
        return sure, np.tile([0.1, 0.1, 0.8], (int(sure.sum()), 1))


def test_the_first_stage_answers_what_it_is_sure_of_and_the_model_the_rest(bundle):
    staged = dataclasses.replace(bundle, first_stage=Sure())
    texts = ["Sanctions must bite.", "Hot  soup.", "Talks should go on."]
    found, stages = staged.predict_in_stages(texts)
    assert stages.tolist() == ["full", "first", "full"] and found[1].tolist() == [0.1, 0.1, 0.8]
    np.testing.assert_array_equal(found[[0, 2]], bundle.predict_proba([texts[0], texts[2]]))
    np.testing.assert_array_equal(staged.predict_proba(texts), found)
    exact, stages = staged.predict_in_stages(texts, exact=True)
    np.testing.assert_array_equal(exact, bundle.predict_proba(texts))
    assert set(stages) == {"full"}


def test_a_second_stage_is_asked_what_the_first_leaves_and_answers_where_it_is_confident(bundle, monkeypatch):
    heard = []

    class Smaller:
        def decision_function(self, texts):
            heard.extend(texts)
            return np.log([[0.9, 0.05, 0.05] if "talks" in text else [0.4, 0.3, 0.3] for text in texts])

    monkeypatch.setattr(type(bundle.classifier), "second_stage", lambda self: cascade.SecondStage(Smaller(), 0.85))
    staged = dataclasses.replace(bundle, first_stage=Sure())
    texts = ["Sanctions must bite.", "Hot soup.", "Let talks go on."]
    probabilities, stages = staged.predict_in_stages(texts)
    assert stages.tolist() == ["full", "first", "second"] and heard == [texts[0], texts[2]]
    np.testing.assert_allclose(probabilities[2], [0.9, 0.05, 0.05])
    np.testing.assert_array_equal(probabilities[0], bundle.predict_proba(texts[:1])[0])


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_a_smaller_model_beside_it_is_exported_and_loaded(tmp_path, tiny_pretrained, least):
    names = read_head(Path(tiny_pretrained)).label_names
    candidate = Candidate(name="pretrained", kind="pretrained", options={"model": tiny_pretrained})
    classifier, smaller = create(candidate), create(candidate)
    for model in (smaller, classifier):
        model.fit([], names, lambda share, words: None)
    alone = Calibration().apply(classifier.decision_function(TEXTS))
    smaller._weights = smaller._weights[0][::-1].copy(), smaller._weights[1]
    other = Calibration().apply(smaller.decision_function(TEXTS))
    classifier._second = cascade.SecondStage(smaller, least, 0.25, calibration=Calibration(2.0))
    write_bundle(tmp_path / "m", classifier, make_manifest(label_names=names, candidate=candidate), "", None)
    probabilities, stages = load_bundle(tmp_path / "m").predict_in_stages(TEXTS)
    if least:
        assert set(stages) == {"full"}
        both = np.log(0.25 * other + 0.75 * alone)
        np.testing.assert_allclose(probabilities, Calibration(2.0).apply(both), atol=1e-6)
    else:  # the smaller model's scores are calibrated as they are
        assert set(stages) == {"second"}
        np.testing.assert_allclose(probabilities, other, atol=1e-6)


def test_without_a_first_stage_the_model_answers_all(bundle):
    found, stages = bundle.predict_in_stages(TEXTS)
    np.testing.assert_array_equal(found, bundle.predict_proba(TEXTS))
    assert set(stages) == {"full"}


def test_a_first_stage_is_exported_and_loaded(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "soup": 1}, unk_token="[UNK]"))
    weights = np.zeros(2 + pieces.PAIRS, np.int8)
    weights[1] = -100
    stage = cascade.FirstStage(tokenizer, weights, 0.1, 0.0, -5.0, (0.5, 0.5, 0.0))
    classifier = majority(0.0, 1.0, 0.0)
    state = State(arrays={"scores": np.array([0.0, 1.0, 0.0])}, blobs={"tokenizer.json": tokenizer.to_str().encode()})
    classifier.state = lambda: state
    write_bundle(tmp_path / "staged", classifier, make_manifest(), "", stage)
    found, stages = load_bundle(tmp_path / "staged").predict_in_stages(["soup", "talks"])
    assert stages.tolist() == ["first", "full"] and found.argmax(1).tolist() == [2, 1]


# Two lines in a notebook


def test_two_lines_label_sentences(champion, bundle):
    texts = ["Sanctions must bite.", "Talks should go on."]
    for folder in (champion, str(champion)):
        rows = load(folder).label(texts)
        assert [row["text"] for row in rows] == texts
        assert all(list(row) == ["text", *bundle.columns] for row in rows)
        given = [[row[name] for name in bundle.columns[2:]] for row in rows]
        np.testing.assert_array_equal(given, bundle.predict_proba(texts))
        assert [row["label"] for row in rows] == [LABEL_NAMES[i] for i in np.argmax(given, axis=1)]
        assert [row["confidence"] for row in rows] == [max(row) for row in given]


def test_a_bare_string_is_one_sentence(bundle):
    assert bundle.label("Soup is served.") == bundle.label(["Soup is served."])
    assert bundle.predict_proba("Soup is served.").shape == (1, 3)


def test_no_sentence_gives_no_row(bundle):
    assert bundle.label([]) == [] and bundle.label(text for text in ()) == []


@pytest.mark.parametrize("odd", [None, 3.5, float("nan"), b"soup", ["soup"]])
def test_what_is_no_text_is_named_by_its_place(bundle, odd):
    error = refused(bundle.label, ["Soup.", odd])
    assert error.what.endswith("is no text")
    assert (error.where, error.expected) == ("text 2", "strings, one for each sentence")


def test_a_model_with_targets_wants_one(bundle):
    aimed = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"targets": ("soup",)}))
    error = refused(aimed.label, "It is served.")
    assert error.where == "no target" and "(soup)" in error.what and error.expected == "a `target` column"
    assert aimed.label("It is served.", target="soup")[0]["text"] == "It is served."
