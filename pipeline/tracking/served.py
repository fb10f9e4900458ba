"""The registered model as MLflow serves it: `text` in, label, confidence and probabilities out.

MLflow runs this file when it loads the model; it needs what prediction needs and no more.
"""

import sys
from typing import Any

import mlflow
import pandas as pd


class StanceModel(mlflow.pyfunc.PythonModel):
    """One row out for each row in."""

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
        """Return columns label, confidence and a probability per label."""
        targets = model_input["target"] if self.bundle.targets else [""] * len(model_input)
        texts = [
            self.bundle.read(str(text), str(target)) for text, target in zip(model_input["text"], targets, strict=True)
        ]
        rows = self.bundle.describe(self.bundle.predict_proba(texts))
        return pd.DataFrame(rows, index=model_input.index, columns=self.bundle.columns)


mlflow.models.set_model(StanceModel())
