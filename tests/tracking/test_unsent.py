"""What was kept while a server was down; the way there and back with a real one is in test_server.py."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import LABEL_NAMES

from pipeline import tracking
from pipeline.tracking import unsent
from pipeline.training import champion as change


@pytest.fixture
def registered(champion, tmp_path, monkeypatch):
    """Send a kept version with some tags; return those that the server gets."""
    shutil.copytree(champion, tmp_path / "model" / "artifacts" / "bundle")
    found = []
    monkeypatch.setattr(unsent, "version_of", lambda *given: None)
    monkeypatch.setattr(unsent, "register", lambda *given: found.append(given[-1]))
    files = SimpleNamespace(download_artifacts=lambda uri: str(tmp_path / "model"))
    store = SimpleNamespace(use=lambda: None, mlflow=SimpleNamespace(artifacts=files))

    def sent(**tags):
        kept = {name: json.dumps(value) for name, value in tags.items()}
        entry = SimpleNamespace(run_id="kept", name="stance", version="1", description="", tags=kept)
        unsent._send_version(store, store, entry, {"kept": "there"}, change.describe_folder)
        return found[-1]

    return sent


def test_a_version_that_an_older_release_kept_has_the_tags_of_its_folder(registered):
    assert registered() == {tracking.LABELS: LABEL_NAMES, tracking.COLUMNS: ("text",)}


def test_what_a_version_says_itself_stands(registered):
    assert (
        registered(output="models/full", columns=["text", "target"]).items()
        >= {
            tracking.OUTPUT: "models/full",
            tracking.COLUMNS: ["text", "target"],
        }.items()
    )


@pytest.mark.parametrize(("tags", "folder"), [({}, "models/champion"), ({"output": '"runs/a"'}, "runs/a")])
def test_an_alias_without_a_folder_is_that_of_the_folder_of_its_name(tmp_path, monkeypatch, tags, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache" / "unsent").mkdir(parents=True)
    (tmp_path / ".cache" / "unsent" / "mlflow.db").touch()
    version = SimpleNamespace(version="1", tags=tags, run_id="kept")
    client = SimpleNamespace(
        search_experiments=list,
        search_runs=lambda ids: [],
        search_registered_models=lambda: [SimpleNamespace(name="stance")],
        search_model_versions=lambda query: [version],
    )
    monkeypatch.setattr(unsent, "Store", lambda uri: SimpleNamespace(client=client, asked=nullcontext))
    monkeypatch.setattr(unsent, "aliases", lambda store, name: {"champion": "1"})
    monkeypatch.setattr(unsent, "_send_version", lambda *given: None)
    told = []
    assert unsent.send("http://team", lambda *given: told.append(given), dict) == 0
    assert told == [(Path(folder), "stance", "champion")] and not unsent.waiting()
