"""The file that MLflow runs: a row for each text, however texts are given, and an error for what is none."""

import json
import runpy
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import LABEL_NAMES, ROOT
from mlflow.exceptions import MlflowException

from pipeline.scoring.decision import DecisionRule

SERVED = ROOT / "pipeline" / "tracking" / "served.py"
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:mlflow", "ignore::DeprecationWarning", "ignore:.*Any type hint:UserWarning"
)


TEXTS = ["Sanctions must bite.", "Soup."]


@pytest.fixture
def unloaded():
    return runpy.run_path(str(SERVED))["StanceModel"]()


@pytest.fixture
def model(unloaded, champion):
    unloaded.load_context(SimpleNamespace(artifacts={"bundle": str(champion)}))
    return unloaded


def test_a_row_is_what_the_exported_folder_says(model, bundle):
    rows = model.predict(None, pd.DataFrame({"text": ["Sanctions must bite.", "Soup."]}, index=[7, 3]))
    expected = bundle.label(["Sanctions must bite.", "Soup."])
    assert rows.index.tolist() == [7, 3] and list(rows) == bundle.columns
    assert rows.to_dict("records") == [{name: row[name] for name in bundle.columns} for row in expected]
    assert list(model.predict(None, pd.DataFrame({"text": []}))) == bundle.columns


def as_dataset(texts):
    import datasets

    return datasets.Dataset.from_dict({"text": texts, "label": [0, 1]})


FORMS = {
    "frame with more columns": lambda texts: pd.DataFrame({"id": [1, 2], "text": texts}),
    "frame of one column without a name, as Spark has it": lambda texts: pd.DataFrame({"0": texts}),
    "series of any name": lambda texts: pd.Series(texts, name="body"),
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "array of one column": lambda texts: np.array(texts).reshape(-1, 1),
    "dict of lists, as a batch of datasets is": lambda texts: {"text": texts, "label": [0, 1]},
    "dict of arrays": lambda texts: {"text": np.array(texts)},
    "dicts": lambda texts: [{"text": text} for text in texts],
    "dataset": as_dataset,
}


@pytest.mark.parametrize("form", FORMS)
def test_there_is_a_row_for_each_text_in_any_form(model, bundle, form):
    rows = model.predict(None, FORMS[form](TEXTS))
    assert rows.to_dict("records") == bundle.describe(bundle.predict_proba(TEXTS))


@pytest.mark.parametrize("one", ["Soup.", {"text": "Soup."}, {"text": np.array("Soup.")}, np.array("Soup.")])
def test_a_bare_text_is_one_row(model, bundle, one):
    assert model.predict(None, one).to_dict("records") == bundle.describe(bundle.predict_proba(["Soup."]))


@pytest.mark.parametrize("none", [[], {"text": []}, pd.Series([], dtype=object)])
def test_no_text_is_no_row(model, none):
    assert model.predict(None, none).empty


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, 3, True, "", " \n", b"Soup.", ["Soup."], "\ud83d"])
@pytest.mark.parametrize(
    "form", [lambda rows: pd.DataFrame({"text": rows}, dtype=object), lambda rows: {"text": rows}, list]
)
def test_what_is_no_text_is_named_and_never_scored(model, missing, form):
    with pytest.raises(MlflowException, match="row 2: `text` is .*; expected a text|no rows of texts: "):
        model.predict(None, form(["Soup.", missing]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pd.DataFrame({"body": TEXTS}), "no column `text`; there are: body"),
        (pd.DataFrame([TEXTS], columns=["text", "text"]), "2 column `text`; there are: text, text"),
        (np.array([TEXTS]), r"no rows of texts: expected a column of texts, not values of shape \(1, 2\)"),
        ({"text": TEXTS, "id": [1]}, "no rows of texts: "),
        (None, "row 1: `text` is None"),
    ],
)
def test_what_holds_no_texts_is_one_line(model, given, words):
    with pytest.raises(MlflowException, match=f"^{words}") as refused:
        model.predict(None, given)
    assert refused.value.get_http_status_code() == 400 and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["id", "text"], "data": [[1, text] for text in TEXTS]}},
        {"dataframe_records": [{"text": text} for text in TEXTS]},
        {"inputs": {"text": TEXTS}},
        {"inputs": TEXTS},
        {"instances": [{"text": text} for text in TEXTS]},
        {"instances": TEXTS},
    ],
    ids=lambda body: json.dumps(body)[:30],
)
def test_every_form_that_a_server_takes_gives_the_same_rows(model, bundle, body):
    from mlflow.pyfunc.scoring_server import invocations

    served = SimpleNamespace(metadata=SimpleNamespace(), predict=lambda data: model.predict(None, data))
    answer = invocations(json.dumps(body), "application/json", served, None)
    expected = bundle.describe(bundle.predict_proba(TEXTS))
    assert answer.status == 200 and json.loads(answer.response)["predictions"] == expected


def test_the_rule_of_the_model_gives_the_label(model):
    eager = model.bundle.manifest.model_copy(update={"decision": DecisionRule((9.0, 0.0, 0.0))})
    model.bundle.__dict__["manifest"] = eager  # frozen for others
    rows = model.predict(None, pd.DataFrame({"text": ["Talks.", "Soup."]}))
    assert set(rows["label"]) == {LABEL_NAMES[0]} and np.array_equal(rows["confidence"], rows.iloc[:, 2])


def test_a_file_that_hides_the_package_is_named(unloaded, champion, monkeypatch):
    hiding = ModuleType("pipeline")
    hiding.__file__ = "/soup/pipeline.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pipeline", hiding)
    with pytest.raises(ImportError, match="^/soup/pipeline.py hides the package `pipeline` of this model; rename it$"):
        unloaded.load_context(SimpleNamespace(artifacts={"bundle": str(champion)}))
