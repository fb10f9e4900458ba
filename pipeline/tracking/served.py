"""The registered model as MLflow loads and serves it: texts in, label, confidence and probabilities out.

MLflow runs this file when it loads the model; it needs what prediction needs and no more.
"""

import sys
from collections.abc import Mapping
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE


class StanceModel(mlflow.pyfunc.PythonModel):
    """One row out for each text in."""

    def load_context(self, context: Any) -> None:
        """Verify and load the exported folder that was logged."""
        try:
            from pipeline.bundle import load_bundle
        except ModuleNotFoundError as error:
            if error.name != "pipeline.bundle":
                raise
            hiding = getattr(sys.modules.get("pipeline"), "__file__", "another package")
            raise ImportError(f"{hiding} hides the package `pipeline` of this model; rename it") from None
        self.bundle = load_bundle(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return columns label, confidence and a probability per label, a row for each text that `as_frame` takes.

        MlflowException, which is answered with 400, where a column is missing or a row holds no text.
        """
        frame = as_frame(model_input)
        columns = ["text", "target"] if self.bundle.targets else ["text"]
        for name in columns:
            if (count := list(frame.columns).count(name)) != 1:
                raise _refusal(f"{count or 'no'} column `{name}`; there are: {', '.join(map(str, frame.columns))}")
            for number, value in enumerate(frame[name], 1):
                if not _is_text(value):
                    raise _refusal(f"row {number}: `{name}` is {value!r}; expected a text")
        texts = [self.bundle.read(*cells) for cells in frame[columns].itertuples(index=False)]
        rows = self.bundle.describe(self.bundle.predict_proba(texts))
        return pd.DataFrame(rows, index=frame.index, columns=self.bundle.columns)


def as_frame(given: Any) -> pd.DataFrame:
    """Return rows with their columns by name; one column without a name is `text`.

    It may be a DataFrame; texts as a string, list, array or Series; rows as dicts; columns as a dict, such as a batch
    of `datasets`; or what can turn itself into a DataFrame, such as its Dataset.
    """
    if hasattr(given, "to_pandas"):
        given = given.to_pandas()
    if isinstance(given, pd.DataFrame):
        # Spark calls a column by its number.
        return given.set_axis(["text"], axis="columns") if list(given.columns) in ([0], ["0"]) else given
    if isinstance(given, pd.Series):
        return given.to_frame("text")
    try:
        if isinstance(given, Mapping):
            return pd.DataFrame({name: _flat(column) for name, column in given.items()}, dtype=object)
        rows = isinstance(given, list) and any(isinstance(row, Mapping) for row in given)
        return pd.DataFrame(given if rows else {"text": _flat(given)}, dtype=object)
    except (TypeError, ValueError, AttributeError) as error:
        raise _refusal(f"no rows of texts: {error}") from None


def _flat(column: Any) -> np.ndarray:
    """Return one value or several, shape (n,) or (n, 1), as an array of shape (n,) that leaves each what it is."""
    cells = np.array(column, dtype=object)
    if cells.ndim > 1 and cells.shape != (len(cells), 1):
        raise ValueError(f"expected a column of texts, not values of shape {cells.shape}")
    return cells.reshape(-1)


def _is_text(value: Any) -> bool:
    """Say whether it is a string that says something, without half of a surrogate pair, which is no character."""
    return isinstance(value, str) and bool(value.strip()) and value == value.encode(errors="ignore").decode()


def _refusal(words: str) -> mlflow.exceptions.MlflowException:
    return mlflow.exceptions.MlflowException(words, error_code=INVALID_PARAMETER_VALUE)


mlflow.models.set_model(StanceModel())
