"""What an evaluation says, in sentences: for the report and for the model card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.config import Config
from pipeline.evaluation.evaluate import Evaluation
from pipeline.scoring import metrics


def summary(found: Evaluation) -> str:
    """Return what a model card says about the test part, as Markdown."""
    table = found.tables[0]
    lines = [f"- macro-F1 {table.macro_f1} on {table.rows} sentences of {table.articles} articles, ECE {table.ece}"]
    lines += [f"- {part.name.strip()}: macro-F1 {part.macro_f1} on {part.rows} sentences" for part in found.tables[1:]]
    lines += [f"- {found.best_baseline}, the best baseline: {table.baselines[found.best_baseline]}"]
    lines += [f"- weak on {s.dimension}: {s.value} ({s.macro_f1}, {len(s.rows)} sentences)" for s in found.weakest[:4]]
    if table.positive_f1:
        lines.append(f"- F1 of the positive labels alone: {table.positive_f1}")
    if table.answered_right:
        lines.append(f"- `--abstain`: answers {table.answered} of the sentences, and {table.answered_right} are right")
    if found.behaviour:
        lines.append(f"- {found.behaviour.rate:.0%} of {len(found.behaviour.trials)} behaviour cases pass")
    return "\n".join([*lines, f"- {describe_audit(found)}"]) + "\n"


def accuracy(matrix: np.ndarray) -> float:
    """Return the share of rows on the diagonal of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


def describe_verdict(found: Evaluation, config: Config) -> str:
    """Say whether the model beats its best baseline, and how much of the text is invented."""
    gain, low, high = (100 * value for value in (found.gain.value, found.gain.low, found.gain.high))
    words = f"It scores {gain:+.1f} points against its best baseline, {found.best_baseline}"
    words += f" (95 % interval {low:+.1f} to {high:+.1f}"
    words += "): the gain is real." if low > 0 else "): no gain is shown." if high > 0 else "): it is worse."
    invented = sum(example.origin in config.data.invented for example in found.examples)
    if invented:
        words += f" {invented / len(found.examples):.0%} of these sentences were written for this project;"
        words += " believe the rows of real text below first."
    return words


def describe_confusion(matrix: np.ndarray, label_names: Sequence[str]) -> str:
    """Name the commonest mistake."""
    wrong = matrix.astype(float).copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return "Every sentence got its label."
    row, column = divmod(int(wrong.argmax()), len(label_names))
    return (
        f"Its commonest mistake: {int(wrong[row, column])} sentences labelled {label_names[row]} are taken for "
        f"{label_names[column]}, {wrong[row, column] / wrong.sum():.0%} of all mistakes."
    )


def describe_calibration(found: Evaluation) -> str:
    """Say whether confidence can be believed."""
    error = found.tables[0].ece
    ece, interval = error.value, f" (95 % interval {100 * error.low:.1f} to {100 * error.high:.1f})"
    gap = float(np.average(found.reliability.confidence - found.reliability.accuracy, weights=found.reliability.rows))
    if ece < 0.05:
        words = f"Yes: confidence and accuracy differ by {100 * ece:.1f} points on average{interval}."
    else:
        side = "too sure" if gap > 0 else "too unsure"
        words = f"With care: confidence and accuracy differ by {100 * ece:.1f} points on average{interval}; "
        words += f"it is mostly {side}."
    share, accuracy = found.coverage.above(0.8)
    if share:
        words += f" Where it is at least 80 % sure ({share:.0%} of sentences) it is right {accuracy:.0%} of the time."
    return words


def describe_abstention(found: Evaluation) -> str:
    """Say what the model's threshold comes to on these rows."""
    asked, answered, right = found.abstention, found.tables[0].answered, found.tables[0].answered_right
    if asked is None or asked.confidence is None or answered is None:
        return f"There is no threshold for `--abstain`: {asked or 'the model was exported without one'}."
    words = f"`stance predict --abstain` has the {asked}. On these rows it "
    words += f"answers {answered.value:.0%} ({_shares(answered)})"
    words += f" and is right on {right.value:.1%} of them ({_shares(right)})" if right else ""
    return words + (f"; by label: {describe_answers(found)}." if right else ".")


def describe_first_stage(found: Evaluation) -> str:
    """Say how much the first stage answers, and what that costs."""
    if found.first_stage is None:
        return "No first stage: the model reads every sentence."
    share, gain = found.first_stage
    points, low, high = (100 * value for value in (gain.value, gain.low, gain.high))
    return (
        f"A first stage answers {share:.0%} of these sentences before the model reads them; with `--exact`, which "
        f"turns it off, macro-F1 is {points:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})."
    )


def describe_answers(found: Evaluation) -> str:
    """Say how much is right of the answers of each label: the target is about all of them together."""
    return ", ".join(f"{name} {share:.0%}" for name, share in found.answered_by_label.items())


def _shares(found: metrics.Interval) -> str:
    return f"95 % interval {found.low:.1%} to {found.high:.1%}"


def describe_audit(found: Evaluation) -> str:
    """Say how much hangs on single words."""
    seen, change = found.audit, found.audit.change
    single = f"Of {seen.looked_at} stance predictions, {seen.decided} change when one word is left out."
    if change is None or seen.masked is None:
        return single
    points, low, high = (100 * value for value in (change.value, change.low, change.high))
    words = (
        f"With the obvious words hidden (they stand in {seen.touched} sentences), macro-F1 "
        f"goes from {found.tables[0].macro_f1.value:.2f} to {seen.masked.value:.2f} ({points:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}). "
    )
    return words + single
