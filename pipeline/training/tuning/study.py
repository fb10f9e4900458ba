"""The studies of a search space in one sqlite file: opened by one process at a time, outliving a kill.

A trial's parameters follow from the random state and the trials before it. So a trial that was
killed needs no memory: asked for again, it is the same one.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
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

# Finished trials below which it is chance that says which options matter.
FEWEST = 10


class Studies:
    """One study for each candidate, all of them of one run in MLflow."""

    def __init__(self, file: Path, identity: dict[str, str], *, restart: bool = False) -> None:
        """Open or create the file; InputError if its studies differ or another process has it.

        Args:
            file: the sqlite file.
            identity: what the studies are, by the names in IDENTITY.
            restart: throw away what is there.

        """
        import optuna
        from filelock import FileLock, Timeout
        from sqlalchemy.exc import DatabaseError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._identity = identity
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(file.with_suffix(".lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(file, "another process is tuning it", then="wait for it, or stop it") from None
        try:
            if restart:
                file.unlink(missing_ok=True)
            self._storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
            known = [summary.user_attrs for summary in optuna.get_all_study_summaries(self._storage)]
            begun = [found["begun"] for found in known if "begun" in found]
            for key, words in IDENTITY.items():
                if any(found[key] != identity[key] for found in begun):
                    then = "what it was begun with continues it, --restart throws it away"
                    raise InputError(file, f"a study was begun {words}", then=then)
            self.run_id: str = begun[0]["run_id"] if begun else ""
        except DatabaseError:
            self.close()
            raise InputError(file, "is no study", then="--restart throws it away") from None
        except BaseException:
            self.close()
            raise

    def open(self, search: Search, random_state: int) -> Study:
        """Take up the study of a candidate, or begin it; `run_id` must be known by then."""
        import optuna

        pruner = optuna.pruners.MedianPruner()
        found = optuna.create_study(
            storage=self._storage,
            study_name=search.candidate.name,
            direction="maximize",
            pruner=pruner,
            load_if_exists=True,
        )
        found.set_user_attr("begun", self._identity | {"run_id": self.run_id})
        return Study(found, search, random_state)

    def close(self) -> None:
        """Let go of the file."""
        self._lock.release()


class Study:
    """The trials of one candidate."""

    def __init__(self, study: optuna.Study, search: Search, random_state: int) -> None:
        """Give up what an earlier process left in mid-trial."""
        from optuna.trial import TrialState

        self._study, self._search, self._random_state = study, search, random_state
        self._run_id = ""
        for killed in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(killed.number, state=TrialState.FAIL)
            self._run_id = killed.user_attrs.get("run_id", "")

    @property
    def finished(self) -> list[dict[str, Any]]:
        """What was found by each trial that came to an end, in their order."""
        from optuna.trial import TrialState

        ended = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [trial.user_attrs["found"] for trial in ended]

    def ask(self) -> tuple[optuna.Trial, dict[str, Any], str]:
        """Begin the next trial; return it, its options, and the run of the one that was killed in its place."""
        from optuna.samplers import TPESampler

        self._study.sampler = TPESampler(seed=self._random_state + len(self.finished))
        trial = self._study.ask(self._search.distributions())
        run_id, self._run_id = self._run_id, ""
        return trial, self._search.decode(trial.params), run_id

    def tell(self, trial: optuna.Trial, value: float | None, found: dict[str, Any]) -> None:
        """End a trial; without a value it was stopped early, or failed."""
        from optuna.trial import TrialState

        trial.set_user_attr("found", found)
        self._study.tell(trial, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)

    def importances(self) -> dict[str, float]:
        """Return how much of the difference between good trials and others each option explains; {}: too few trials."""
        from optuna.importance import get_param_importances

        if sum(found["macro_f1"] is not None for found in self.finished) < FEWEST:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                return get_param_importances(self._study)
            except (UserWarning, ValueError, RuntimeError):
                return {}
