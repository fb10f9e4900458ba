"""What an edit of the package makes stale: folds, batches, studies; and what it leaves standing."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import LABEL_NAMES, ROOT
from refusals import refused

from pipeline.classifiers import KINDS, create, folds, pretrained_folder
from pipeline.config import Candidate
from pipeline.data import digest
from pipeline.data.digest import collect_code, fingerprint
from pipeline.data.examples import Example
from pipeline.prediction import digest_program
from pipeline.training import tuning
from pipeline.training.tuning.space import read_space

TEACHER = Candidate(name="tfidf", kind="tfidf")
CANDIDATES = {
    "majority": Candidate(name="majority", kind="majority"),
    "keywords": Candidate(name="keywords", kind="keywords", options={"lexicon": str(ROOT / "configs/lexicon.yaml")}),
    "tfidf": TEACHER,
    "embedding": Candidate(name="embedding", kind="embedding"),
    "pretrained": Candidate(name="pretrained", kind="pretrained"),
    "finetune": Candidate(name="finetune", kind="finetune"),
    "goes on": Candidate(name="goes on", kind="finetune", options={"checkpoint": "pretrained/small"}),
    "distil": Candidate(name="distil", kind="distil", options={"teachers": [TEACHER.model_dump()]}),
}
FOLDS, BATCH, STUDY = set(CANDIDATES), {"batch"}, {"study"}
ENCODERS = {"embedding", "pretrained", "finetune", "goes on", "distil"}
ROW = Example("a", 0, 0, 9, "The soup is hot.", "neutral", "train", "a")

# An edited file, and what is stale then: folds of candidates, a batch of a TF-IDF model, a study of TF-IDF.
EDITS = {
    "classifiers/hashtags.py": {"tfidf", "embedding", "distil"} | BATCH | STUDY,
    "classifiers/linear.py": {"tfidf", "embedding", "distil"} | BATCH | STUDY,
    "classifiers/rules.py": {"majority", "keywords"},
    "classifiers/finetune.py": {"finetune", "goes on", "distil"},
    "classifiers/finetuning.py": {"finetune", "goes on", "distil"},
    "classifiers/network.py": {"finetune", "goes on", "distil"},
    "classifiers/encoding.py": ENCODERS,
    "classifiers/int8.py": ENCODERS,
    "classifiers/onnx.py": ENCODERS,
    "classifiers/distil.py": {"distil"},
    "classifiers/folds.py": FOLDS | STUDY,
    "classifiers/pretrained.py": {"pretrained"},
    "classifiers/cascade.py": {"pretrained"} | BATCH,
    "classifiers/pieces.py": {"pretrained"} | BATCH,
    "classifiers/expert.py": {"pretrained"},
    "classifiers/contrastive.py": set(),
    "classifiers/agreement.py": set(),
    "pretrained/small/head.json": {"pretrained", "goes on"},
    "pretrained/small/adapter_model.safetensors": {"pretrained", "goes on"},
    "pretrained/small/expert.json": {"pretrained", "goes on"},
    "pretrained/small/README.md": set(),
    "pretrained/small/held_out.json": set(),
    "pretrained/small/test_predictions.json": set(),
    "pretrained/small/first_stage.json": set(),
    "data/examples.py": FOLDS | BATCH | STUDY,
    "data/sentences.py": BATCH,
    "data/articles.py": BATCH,
    "data/files.py": set(),
    "scoring/calibration.py": {"pretrained", "distil"} | BATCH | STUDY,
    "scoring/metrics.py": {"finetune", "goes on", "pretrained", "distil"} | BATCH | STUDY,
    "prediction/forms.py": BATCH,
    "bundle.py": BATCH,
    "training/rows.py": STUDY,
    "training/results.py": STUDY,
    "training/tuning/course.py": STUDY,
    "training/train.py": set(),
    "evaluation/evaluate.py": set(),
    "progress.py": set(),
    "errors.py": set(),
    "config.py": set(),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, which is taken for the package."""
    copy = shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "PACKAGE", copy)
    monkeypatch.setattr(pretrained_folder, "HOME", copy / "pretrained")
    monkeypatch.chdir(ROOT)
    return copy


@pytest.fixture
def remembers(package, tmp_path, monkeypatch):
    """Return what is new, and remember it: fits take no time here, and their names are the real ones."""
    known = {}

    def cheap(candidate, random_state=0):
        real = create(candidate, random_state)
        fit = SimpleNamespace(fit=lambda rows, names, on_progress: None, modules=real.modules, files=real.files)
        fit.decision_function = lambda texts: np.zeros((len(texts), 3))
        fit.combines, fit.parts = real.combines, real.parts
        return fit

    monkeypatch.setattr(folds, "create", cheap)
    space = read_space(Path("configs/tune/smoke.yaml"))

    def new():
        stale = set()
        for name, candidate in CANDIDATES.items():
            heard = []
            note = lambda share, words, heard=heard: heard.append(words)  # noqa: E731 - told only of what is not remembered
            folds.fit_and_score(candidate, [ROW], [ROW.input], LABEL_NAMES, 0, tmp_path / "cache", note)
            stale |= {name} if heard else set()
        names = {
            "batch": digest_program(SimpleNamespace(classifier=create(TEACHER))),
            "study": tuning._identity(space, "data")["program"],
        }
        stale |= {name for name, value in names.items() if known.get(name) != value}
        known.update(names)
        return stale

    assert new() == FOLDS | BATCH | STUDY and new() == set()
    return new


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_makes_stale_what_hangs_on_it_and_nothing_else(package, remembers, file):
    target = package / file
    if file.endswith(".py"):
        target.write_text(target.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
    else:
        target.write_bytes(target.read_bytes() + b" ")
    assert remembers() == EDITS[file]


def test_a_comment_changes_nothing(package, remembers):
    for file in package.rglob("*.py"):
        file.write_text("# The kitchen is closed.\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    assert remembers() == set()


def test_another_lexicon_makes_the_keyword_list_stale(remembers, tmp_path, monkeypatch):
    lexicon = tmp_path / "lexicon.yaml"
    lexicon.write_text("neutral: [soup]\n")
    candidate = Candidate(name="keywords", kind="keywords", options={"lexicon": str(lexicon)})
    monkeypatch.setitem(CANDIDATES, "keywords", candidate)
    assert remembers() == {"keywords"} and remembers() == set()
    lexicon.write_text("neutral: [noodles]\n")
    assert remembers() == {"keywords"}


@pytest.mark.parametrize(
    ("library", "stale"), [("torch", ENCODERS), ("scikit-learn", {"tfidf", "embedding", "distil"}), ("typer", set())]
)
def test_another_version_of_a_library_makes_stale_what_imports_it(remembers, monkeypatch, library, stale):
    real = digest.version
    monkeypatch.setattr(digest, "version", lambda name: "0.0" if name == library else real(name))
    assert stale <= remembers()
    assert library != "typer" or remembers() == set()


def test_options_and_data_make_a_name_of_their_own():
    names = [fingerprint((), *values) for values in ([1], [2], [1, 2], [[1]], [{"C": 1}], [{"C": 2}], ["1"])]
    assert len(set(names)) == len(names) and fingerprint((), {"a": 1, "b": 2}) == fingerprint((), {"b": 2, "a": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_of_every_kind_is_found(kind):
    module = f"pipeline.classifiers.{KINDS[kind].split(':')[0]}"
    code, packages = collect_code([module])
    assert {module, "pipeline.classifiers", "pipeline.data.examples"} <= code.keys() and "numpy" in packages


def test_code_that_is_not_there_is_no_silence():
    with pytest.raises(ModuleNotFoundError) as caught:
        fingerprint(["pipeline.classifiers.oracle"])
    assert caught.value.name == "pipeline.classifiers.oracle"


def test_a_pretrained_model_without_files_is_no_silence(tmp_path):
    error = refused(pretrained_folder.checkpoint_files, str(tmp_path))
    assert error.what == "holds no checkpoint" and "model.safetensors" in error.expected
