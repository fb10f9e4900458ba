"""What an evaluation says, in sentences: for the page, the terminal and the registered version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.config import Config
from pipeline.evaluation.evaluate import Evaluation
from pipeline.evaluation.subsets import Subset
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.scores import Scores

MOST_WEAK = 4  # slices that are named


def summarize(evaluation: Evaluation) -> str:
    """Return what the registered version says about the test part, as Markdown."""
    headline = evaluation.headline
    lines = [f"{headline}{_when(headline)}:", "", *tabulate(headline.scores), ""]
    lines += [f"- {subset}{_when(subset)}: macro-F1 {subset.scores['macro_f1']}" for subset in evaluation.subsets[1:]]
    if evaluation.contrast:
        lines.append(f"- {describe_contrast(evaluation.contrast)}")
    best = headline.best_baseline
    lines.append(f"- {best}, the best baseline: macro-F1 {headline.baseline_scores[best]['macro_f1']}")
    lines += [
        f"- weak on {part.dimension}: {part.value} ({part.macro_f1}, {len(part.rows)} sentences)"
        for part in evaluation.weakest[:MOST_WEAK]
    ]
    if evaluation.behaviour:
        lines.append(f"- {evaluation.behaviour.rate:.0%} of {len(evaluation.behaviour.results)} behaviour cases pass")
    return "\n".join([*lines, f"- {describe_audit(evaluation)}"]) + "\n"


def tabulate(scores: Scores) -> list[str]:
    """Return the lines of a Markdown table of all metrics."""
    rows = [[metric.title, interval, metric.meaning] for metric, interval in scores]
    return markdown_table(["score", "95 % interval", "what it is"], rows)


def markdown_table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(map(str, line))} |" for line in (columns, ["---"] * len(columns), *rows)]


def describe_title(evaluation: Evaluation) -> str:
    """Say in one line whether the model beats its baselines, and how often it is right."""
    headline = evaluation.headline
    better = "Better than its baselines" if headline.gain.low > 0 else "Not shown to be better than its baselines"
    return f"{better} on {headline.name}, and right on {headline.predictions.hits.mean():.0%} of sentences"


def describe_real(subsets: Iterable[Subset]) -> str:
    """Say what real documents give, whole articles beside samples; empty where there is no real text."""
    real = [subset for subset in subsets if subset.real and not subset.nested]
    if not real:
        return ""
    scores = " and ".join(str(subset.scores["macro_f1"]) for subset in real)
    return f"On {' and '.join(map(str, real))}: macro-F1 {scores}{_when(real[0])}."


def _when(subset: Subset) -> str:
    return ", measured when the model was made" if subset.measured else ""


def describe_verdict(evaluation: Evaluation) -> str:
    """Say whether the model beats its best baseline on the rows of the headline."""
    headline, gain = evaluation.headline, evaluation.headline.gain
    words = f"On {headline.name} it scores {100 * gain.value:+.1f} points against its best baseline, "
    words += f"{headline.best_baseline} ({_points(gain)}"
    return words + (
        "): the gain is real." if gain.low > 0 else "): no gain is shown." if gain.high > 0 else "): worse."
    )


def describe_rows(evaluation: Evaluation, config: Config) -> str:
    """Say which rows are looked into, and how many of them are invented."""
    examples = evaluation.rows.examples
    invented = sum(example.origin in config.data.invented for example in examples)
    words = f"the {len(examples):,} sentences whose text is here"
    return f"{words}, {invented:,} of which are invented" if invented else words


def describe_contrast(contrast: Subset) -> str:
    """Say how well sentences are read that differ by little."""
    return (
        f"invented sentences in {contrast.scores.articles:,} groups that differ by little (contrast): "
        f"macro-F1 {contrast.scores['macro_f1']}, groups wholly right {contrast.scores['groups_right']}"
    )


def describe_confusion(matrix: np.ndarray, label_names: Sequence[str]) -> str:
    """Name the commonest mistake."""
    wrong = matrix.astype(float)
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return "Every sentence got its label."
    row, column = divmod(int(wrong.argmax()), len(label_names))
    return (
        f"Its commonest mistake: {int(wrong[row, column])} sentences labelled {label_names[row]} are taken for "
        f"{label_names[column]}, {wrong[row, column] / wrong.sum():.0%} of all mistakes."
    )


def describe_calibration(evaluation: Evaluation) -> str:
    """Say whether confidence can be believed."""
    error, curve = evaluation.scores["ece"], evaluation.reliability
    gap = f"confidence and accuracy differ by {100 * error.value:.1f} points on average ({_points(error, sign='')})"
    if error.value < 0.05:
        words = f"Yes: {gap}."
    else:
        surplus = float(np.average(curve.confidence - curve.accuracy, weights=curve.rows))
        words = f"With care: {gap}; it is mostly {'too confident' if surplus > 0 else 'not confident enough'}."
    share, accuracy = evaluation.risk_coverage.above(0.8)
    if share:
        words += f" Where it is at least 80 % sure ({share:.0%} of sentences) it is right {accuracy:.0%} of the time."
    return words


def describe_abstention(evaluation: Evaluation) -> str:
    """Say what the model's threshold comes to on these rows."""
    scores = evaluation.scores.intervals
    if "answered" not in scores:
        return f"There is no threshold for `--abstain`: {evaluation.abstention}."
    answered, right = scores["answered"], scores.get("answered_right")
    words = f"`stance predict --abstain` has the {evaluation.abstention}. On these rows it "
    words += f"answers {answered.value:.0%} ({_shares(answered)})"
    if right is None:
        return f"{words}."
    words += f" and is right on {right.value:.1%} of them ({_shares(right)})"
    return f"{words}; by label: {describe_answers(evaluation)}."


def describe_first_stage(evaluation: Evaluation) -> str:
    """Say how much the first stage answers, and what that costs."""
    cost = evaluation.first_stage
    if cost is None:
        return "No first stage: the model reads every sentence."
    return (
        f"A first stage answers {cost.share:.0%} of these sentences before the model reads them; with `--exact`, which "
        f"turns it off, macro-F1 is {100 * cost.exact_gain.value:+.1f} points ({_points(cost.exact_gain)})."
    )


def describe_answers(evaluation: Evaluation) -> str:
    """Say how much is right of the answers of each label: the target is about all of them together."""
    return ", ".join(f"{name} {share:.0%}" for name, share in evaluation.answered_by_label.items())


def describe_audit(evaluation: Evaluation) -> str:
    """Say how much hangs on single words."""
    audit = evaluation.audit
    single = f"Of {audit.examined} stance predictions, {audit.decided} change when one word is left out."
    if audit.change is None or audit.masked is None:
        return single
    return (
        f"With the obvious words hidden (they stand in {audit.touched} sentences), macro-F1 goes from "
        f"{evaluation.macro_f1:.2f} to {audit.masked.value:.2f} "
        f"({100 * audit.change.value:+.1f} points, {_points(audit.change)}). {single}"
    )


def _points(interval: Interval, sign: str = "+") -> str:
    return f"95 % interval {100 * interval.low:{sign}.1f} to {100 * interval.high:{sign}.1f}"


def _shares(interval: Interval) -> str:
    return f"95 % interval {interval.low:.1%} to {interval.high:.1%}"
