"""Several fitted classifiers as one: a weighted sum of their calibrated log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat
from pydantic.dataclasses import dataclass

from pipeline.classifiers import STRICT, Classifier, State, T, create
from pipeline.config import Candidate
from pipeline.data.examples import Example
from pipeline.progress import ProgressCallback
from pipeline.scoring.calibration import Calibration, softmax


def blend(logs: Sequence[np.ndarray], y_true: np.ndarray) -> list[float]:
    """Return the non-negative weights of members that minimize log-loss on rows none of them has seen.

    `logs` holds the log-probabilities of each member, of shape (n, k); `y_true` label indices, shape (n,).
    """
    from scipy.optimize import minimize

    stacked, rows = np.stack(logs), np.arange(len(y_true))

    def loss(weights: np.ndarray) -> float:
        probabilities = softmax(np.tensordot(weights, stacked, axes=1))
        # A little shrinkage to equal weights: members are alike, so their weights are loosely determined.
        away = ((weights - 1 / len(logs)) ** 2).sum()
        return float(-np.log(np.clip(probabilities[rows, y_true], 1e-12, None)).mean() + 0.01 * away)

    start = np.full(len(logs), 1 / len(logs))
    return [float(w) for w in minimize(loss, start, bounds=[(0, None)] * len(logs), method="L-BFGS-B").x]


class _Member(BaseModel):
    """What is stored of a member, beside its arrays and blobs, whose names begin with its number."""

    candidate: Candidate
    calibration: Calibration
    values: dict[str, Any]


@dataclass(config=STRICT)
class Ensemble(Classifier):
    """Members that were fitted apart; their weights come from rows that none of them has seen."""

    combines: ClassVar[bool] = True

    members: Annotated[tuple[str, ...], Field(min_length=2)]
    random_state: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The members."""
        return self.members

    @property
    def modules(self) -> set[str]:
        """Its own, and those of fitted members."""
        fitted = getattr(self, "_fitted", ())
        return {type(self).__module__}.union(*(member.modules for _, member, _ in fitted))

    @classmethod
    def of(cls, fitted: Sequence[tuple[Candidate, Classifier, Calibration]], weights: Sequence[float]) -> Ensemble:
        """Build from fitted members."""
        ensemble = cls(tuple(candidate.name for candidate, _, _ in fitted))
        ensemble._fitted, ensemble._weights = list(fitted), list(weights)
        return ensemble

    def fit(self, examples: Sequence[Example], label_names: Sequence[str], on_progress: ProgressCallback) -> None:
        """Do nothing: the members are fitted apart."""
        raise NotImplementedError("an ensemble is built of fitted members")

    def decision_function(self, texts: Sequence[str]) -> np.ndarray:
        """Return weighted log-probabilities, shape (n, k)."""
        logs = [calibration.log_probabilities(one.decision_function(texts)) for _, one, calibration in self._fitted]
        return np.tensordot(self._weights, logs, axes=1)

    def state(self) -> State:
        """Return the members' states side by side, each under its number."""
        whole = State(values={"weights": self._weights, "members": []})
        for number, (candidate, member, calibration) in enumerate(self._fitted):
            part = member.state()
            stored = _Member(candidate=candidate, calibration=calibration, values=part.values)
            whole.values["members"].append(stored.model_dump(mode="json"))
            whole.arrays |= {f"{number}.{name}": array for name, array in part.arrays.items()}
            whole.blobs |= {f"{number}.{name}": blob for name, blob in part.blobs.items()}
        return whole

    def restore(self, state: State) -> None:
        """Take over the members."""
        self._weights, self._fitted = state.value("weights", list[FiniteFloat]), []
        for number, stored in enumerate(state.value("members", list[_Member])):
            member = create(stored.candidate)
            arrays, blobs = _under(f"{number}.", state.arrays), _under(f"{number}.", state.blobs)
            member.restore(State(stored.values, arrays, blobs))
            self._fitted.append((stored.candidate, member, stored.calibration))


def _under(prefix: str, parts: dict[str, T]) -> dict[str, T]:
    return {name.removeprefix(prefix): part for name, part in parts.items() if name.startswith(prefix)}
