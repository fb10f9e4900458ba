"""Choose one of the candidates by what they score on rows that none of them has seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.classifiers import create
from pipeline.config import Candidate, Config
from pipeline.errors import InputError
from pipeline.scoring.metrics import difference, find_metric
from pipeline.training.own_labels import OwnLabels
from pipeline.training.results import CandidateResult
from pipeline.training.rows import has_enough_real_text, rows_that_count


def check_candidates(candidates: Sequence[Candidate]) -> None:
    """Check kinds, options, and that those built of or taught by others name earlier ones; before any work is spent."""
    names: list[str] = []
    for candidate in candidates:
        unknown = [name for name in create(candidate).parts if name not in names]
        if unknown:
            where, what = f"candidate {candidate.name!r}", f"refers to {', '.join(unknown) or 'no other one'}"
            raise InputError(where, what, expected=f"candidates before it: {', '.join(names)}")
        names.append(candidate.name)


def select(
    results: Sequence[CandidateResult], config: Config, own: OwnLabels | None = None
) -> tuple[CandidateResult, str]:
    """Choose by the config's metric on real text; a simpler candidate wins unless the best is shown to be better.

    Where there is too little real text to choose by, the pretrained model stays (it was chosen on real text), and
    without one all rows count. What learns from the user's own labels alone is taken in place of the pretrained model
    where they help, and not at all where they do not. Returns the selected result, and the reason in words.
    """
    if own and own.helps:
        chosen, reason = select(results, config)
        adapted = next(result for result in results if result.candidate.name == own.candidate)
        return (adapted, "your labels improve the pretrained model") if _is_pretrained(chosen) else (chosen, reason)
    pretrained = next((result for result in results if _is_pretrained(result)), None)
    if pretrained:
        results = [result for result in results if not create(result.candidate).learns_from_own_labels]
    real = results[0].real
    if pretrained and not has_enough_real_text(real, config):
        return pretrained, (
            f"{int(real.sum())} rows of real text are too few to choose by ({config.selection.real_rows} are needed), "
            f"and scores on invented text mislead: the pretrained model, which was chosen on real text, stays"
        )
    rows = rows_that_count(real, config)
    on = f"on {int(rows.sum())} rows" + (" of real text" if rows.sum() == real.sum() else "")
    metric = find_metric(config.selection.metric, config.label_names, config.positive)
    predictions = [result.predictions(rows) for result in results]
    top = int(np.argmax([metric.value(each) for each in predictions]))
    best, highest = results[top], f"{results[top].candidate.name} has the highest {metric.title} {on}"
    if not config.selection.prefer_simple:
        return best, f"{highest}, and the config asks for the highest"
    for result, simpler in zip(results[:top], predictions, strict=False):
        gain = difference(metric, simpler, predictions[top], resamples=config.selection.resamples)
        if gain.low <= 0:
            return result, (
                f"{best.candidate.name} scores {100 * gain.value:.1f} points more than {result.candidate.name} {on}, "
                f"but the 95 % interval of the gain, {100 * gain.low:.1f} to {100 * gain.high:.1f}, holds zero: "
                f"the simpler one is taken"
            )
    return best, f"{highest}, and no simpler candidate ties with it"


def _is_pretrained(result: CandidateResult) -> bool:
    return create(result.candidate).chosen_on_real_text


def selection_mask(results: Sequence[CandidateResult], config: Config) -> np.ndarray:
    """Return the rows that count and are held out from the pretraining of all of the results; shape (n,)."""
    return np.all([rows_that_count(results[0].real, config), *(result.held_out for result in results)], axis=0)
