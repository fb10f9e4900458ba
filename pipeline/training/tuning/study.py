"""The studies of a search space in one sqlite file: opened by one process at a time, outliving a kill.

A trial's parameters follow from the random state and the trials before it. So a trial that was
killed needs no memory: asked for again, it is the same one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import Candidate
from pipeline.errors import InputError
from pipeline.scoring.bootstrap import Interval
from pipeline.training.tuning.space import Search

if TYPE_CHECKING:
    import optuna

# What a study is begun with, and how one that differs is called.
IDENTITY = {
    "space": "with another search space",
    "config": "with another config",
    "data": "on other data, or it has changed since",
    "program": "by another version of this program or its libraries",
}
FEWEST = 10  # finished trials below which it is chance that says which options matter


@contextmanager
def open_studies(
    file: Path, identity: Mapping[str, str], *, restart: bool = False
) -> Iterator[tuple[optuna.storages.RDBStorage, str]]:
    """Open or create a file of studies, and hold it; yield its storage, and the run that began them or nothing.

    InputError if its studies differ in `identity` (by the names in IDENTITY) or another process has it; `restart`
    throws away what is there.
    """
    import optuna
    from filelock import FileLock, Timeout
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(file.with_suffix(".lock"), timeout=0).acquire()
    except Timeout:
        raise InputError(file, "another process is tuning it", then="wait for it, or stop it") from None
    with held:
        if restart:
            file.unlink(missing_ok=True)
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
            known = [summary.user_attrs for summary in optuna.get_all_study_summaries(storage)]
        except DatabaseError:
            raise InputError(file, "is no study", then="--restart throws it away") from None
        begun = [found["begun"] for found in known if "begun" in found]
        for key, words in IDENTITY.items():
            if any(found[key] != identity[key] for found in begun):
                then = "what it was begun with continues it, --restart throws it away"
                raise InputError(file, f"a study was begun {words}", then=then)
        yield storage, begun[0]["run_id"] if begun else ""


@dataclass(frozen=True)
class TrialResult:
    """What came out of one trial."""

    candidate: str
    number: int  # from 1
    options: dict[str, Any]
    macro_f1: Interval | None = None  # None where it did not come to its end
    ended: str = ""  # why it did not

    @property
    def value(self) -> float:
        """Macro-F1, 0 where there is none."""
        return self.macro_f1.value if self.macro_f1 else 0.0


class Study:
    """The trials of one candidate."""

    def __init__(
        self, storage: optuna.storages.RDBStorage, search: Search, random_state: int, begun: Mapping[str, str]
    ) -> None:
        """Take it up, or begin it with an identity and a run; what an earlier process left in mid-trial is given up."""
        import optuna

        self.search, self._random_state, self._run_id = search, random_state, ""
        self._study = optuna.create_study(
            storage=storage,
            study_name=search.candidate.name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
        self._study.set_user_attr("begun", dict(begun))
        for killed in self._study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(killed.number, state=optuna.trial.TrialState.FAIL)
            self._run_id = killed.user_attrs.get("run_id", "")

    @property
    def finished(self) -> list[TrialResult]:
        """What was found by each trial that came to an end, in their order."""
        from optuna.trial import TrialState

        ended = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [self._read(trial, number) for number, trial in enumerate(ended, 1)]

    def _read(self, trial: optuna.trial.FrozenTrial, number: int) -> TrialResult:
        score, ended = trial.user_attrs["macro_f1"], trial.user_attrs["ended"]
        options = self.search.decode(trial.params)
        return TrialResult(self.search.candidate.name, number, options, score and Interval(**score), ended)

    def ask(self) -> tuple[optuna.Trial, Candidate, str]:
        """Begin the next trial; return it, its candidate, and the run of the one that was killed in its place."""
        from optuna.samplers import TPESampler

        self._study.sampler = TPESampler(seed=self._random_state + len(self.finished))
        trial = self._study.ask(self.search.distributions())
        run_id, self._run_id = self._run_id, ""
        return trial, self.search.place(self.search.decode(trial.params)), run_id

    def tell(self, trial: optuna.Trial, macro_f1: Interval | None, ended: str = "") -> TrialResult:
        """End a trial; without a score it was stopped early, or failed."""
        from optuna.trial import TrialState

        trial.set_user_attr("macro_f1", macro_f1 and asdict(macro_f1))
        trial.set_user_attr("ended", ended)
        if macro_f1:
            self._study.tell(trial, macro_f1.value)
        else:
            self._study.tell(trial, state=TrialState.PRUNED)
        return self.finished[-1]

    def importances(self) -> dict[str, float]:
        """Return how much of the difference between good trials and others each option explains; {}: too few trials."""
        from optuna.importance import get_param_importances

        if sum(trial.macro_f1 is not None for trial in self.finished) < FEWEST:
            return {}
        with warnings.catch_warnings(action="error", category=UserWarning):
            try:
                return get_param_importances(self._study)
            except (UserWarning, ValueError, RuntimeError):
                return {}
