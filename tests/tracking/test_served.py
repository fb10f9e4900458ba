"""The file that MLflow runs: it finds this package, or says what hides it."""

import runpy
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import LABEL_NAMES, ROOT

from pipeline.scoring.decision import DecisionRule

SERVED = ROOT / "pipeline" / "tracking" / "served.py"
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:mlflow", "ignore::DeprecationWarning", "ignore:.*Any type hint:UserWarning"
)


@pytest.fixture
def model():
    return runpy.run_path(str(SERVED))["StanceModel"]()


def test_a_row_is_what_the_exported_folder_says(model, champion, bundle):
    model.load_context(SimpleNamespace(artifacts={"bundle": str(champion)}))
    rows = model.predict(None, pd.DataFrame({"text": ["Sanctions must bite.", "Soup."]}, index=[7, 3]))
    expected = bundle.label(["Sanctions must bite.", "Soup."])
    assert rows.index.tolist() == [7, 3] and list(rows) == bundle.columns
    assert rows.to_dict("records") == [{name: row[name] for name in bundle.columns} for row in expected]
    assert list(model.predict(None, pd.DataFrame({"text": []}))) == bundle.columns


def test_the_rule_of_the_model_gives_the_label(model, champion):
    model.load_context(SimpleNamespace(artifacts={"bundle": str(champion)}))
    eager = model.bundle.manifest.model_copy(update={"decision": DecisionRule((9.0, 0.0, 0.0))})
    model.bundle.__dict__["manifest"] = eager  # frozen for others
    rows = model.predict(None, pd.DataFrame({"text": ["Talks.", "Soup."]}))
    assert set(rows["label"]) == {LABEL_NAMES[0]} and np.array_equal(rows["confidence"], rows.iloc[:, 2])


def test_a_file_that_hides_the_package_is_named(model, champion, monkeypatch):
    hiding = ModuleType("pipeline")
    hiding.__file__ = "/soup/pipeline.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pipeline", hiding)
    with pytest.raises(ImportError, match="^/soup/pipeline.py hides the package `pipeline` of this model; rename it$"):
        model.load_context(SimpleNamespace(artifacts={"bundle": str(champion)}))
