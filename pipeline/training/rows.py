"""The rows that candidates are compared on: the folds they lie in, and which of them count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.classifiers import index_labels
from pipeline.classifiers.folds import assign_folds
from pipeline.config import Config
from pipeline.data.annotations import RANDOM
from pipeline.data.examples import Example
from pipeline.errors import InputError, raise_problems

FEWEST_BLIND = 100  # rows to calibrate on
# The fold of rows that are trained on in every fold, and scored in none.
ALWAYS = -1


def make_folds(train: Sequence[Example], validation: Sequence[Example], config: Config) -> np.ndarray:
    """Return the fold of each row of train and validation, whole articles together; shape (n,).

    With a validation part, candidates learn from the train part and are scored on the other, once: a pretrained
    model that has seen the train part's real text cannot be cross-validated on it.
    """
    if validation:
        return np.array([ALWAYS] * len(train) + [0] * len(validation))
    y, groups = index_labels(train, config.label_names), [example.group for example in train]
    return assign_folds(y, groups, config.selection.folds, config.random_state)


def split_single_fold(examples: Sequence[Example], folds: np.ndarray, config: Config) -> np.ndarray:
    """Split a single fold (a validation part) by article: what is fitted on it is scored on other articles of it."""
    if len(np.unique(folds)) > 1:
        return folds
    names, codes = np.unique([example.group for example in examples], return_inverse=True)
    return (codes if len(names) > 1 else np.arange(len(codes))) % config.selection.folds


def check_classes(examples: Sequence[Example], config: Config) -> None:
    """Check that every label has examples in as many articles as there are folds."""
    where, folds, problems = config.data.source or config.data.labels, config.selection.folds, []
    counts = Counter(example.label for example in examples)
    if len(counts) < 2:
        only = f"only {next(iter(counts))!r} occurs" if counts else "there is no row"
        raise InputError(where, f"{only} in the train part", expected=f"all of {', '.join(config.label_names)}")
    for label in config.label_names:
        groups = {example.group for example in examples if example.label == label}
        if len(groups) < folds:
            single = ", and that is a single one" if counts[label] == 1 else ""
            what = f"{label!r} has examples in {len(groups)} articles of the train part{single}"
            expected, then = f"at least {folds}, one for each fold", "label more or lower selection.folds"
            problems.append(InputError(where, what, expected=expected, then=then))
    raise_problems(problems)


def check_validation(validation: Sequence[Example], config: Config) -> None:
    """Check that a validation part can be divided: what is fitted on it is scored on other articles of it."""
    count, folds = len({example.group for example in validation}), config.selection.folds
    if validation and count < folds:
        where, what = config.data.source or config.data.labels, f"the validation part holds {count} articles"
        then = "label more, lower selection.folds, or add them to the train part, which is then cross-validated"
        raise InputError(where, what, expected=f"at least {folds}, one for each fold", then=then)


def is_real(examples: Sequence[Example], config: Config) -> np.ndarray:
    """Return which rows are real text, not written for training; shape (n,)."""
    return np.array([example.origin not in config.data.invented for example in examples], bool)


def has_enough_real_text(real: np.ndarray, config: Config) -> bool:
    """Say whether there is enough real text to choose by, to calibrate on, to find a threshold on."""
    return bool(real.sum() >= config.selection.real_rows)


def rows_that_count(real: np.ndarray, config: Config) -> np.ndarray:
    """Return real text where there is enough of it, else all rows; shape (n,)."""
    return real if has_enough_real_text(real, config) else np.ones_like(real)


def exclude_active_samples(examples: Sequence[Example], rows: np.ndarray) -> np.ndarray:
    """Return which of the rows no model's doubt has chosen, so that they mirror their text; all if too few; shape (n,).

    A model that is calibrated on hard rows says that labels are more even, and itself less sure, than text bears out.
    """
    blind = rows & np.array([example.sampling in ("", RANDOM) for example in examples])
    return blind if blind.sum() >= FEWEST_BLIND else rows
