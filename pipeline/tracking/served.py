"""The registered model as MLflow serves it: `text` in, label, confidence and probabilities out.

MLflow runs this file when it loads the model; it needs what prediction needs and no more.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class StanceModel(mlflow.pyfunc.PythonModel):
    """One row out for each row in."""

    def load_context(self, context: Any) -> None:
        """Verify and load the exported folder that was logged."""
        from pipeline.bundle import load_bundle

        self.bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return columns label, confidence and a probability per label."""
        from pipeline.data.annotations import probability_column

        targets = model_input["target"] if self.bundle.targets else [""] * len(model_input)
        texts = [
            self.bundle.read(str(text), str(target)) for text, target in zip(model_input["text"], targets, strict=True)
        ]
        probabilities = self.bundle.predict_proba(texts)
        names = self.bundle.label_names
        labels = self.bundle.decide(probabilities)
        columns = {"label": [names[i] for i in labels], "confidence": probabilities[range(len(labels)), labels]}
        columns |= {probability_column(name): probabilities[:, i] for i, name in enumerate(names)}
        return pd.DataFrame(columns, index=model_input.index)


mlflow.models.set_model(StanceModel())
