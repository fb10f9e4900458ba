"""What `stance tune` shows: the best trials of each candidate, and which options mattered."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from pipeline.console import out
from pipeline.console import table as new_table
from pipeline.tuning import Outcome
from pipeline.tuning.trials import Trial, Tuned

SHOWN = 5  # trials of each candidate


def describe(trial: Trial, total: int) -> str:
    """Return the line that tells how a trial ended."""
    options = ", ".join(f"{name} {value}" for name, value in trial.options.items())
    found = trial.ended or f"macro-F1 {trial.macro_f1}"
    return f"{trial.candidate} trial {trial.number} of {total}: {found}; {options}"


def show(outcome: Outcome, output: Path) -> None:
    """Print what came out of a tuning."""
    for entry in outcome.tuned:
        _show_trials(entry)
    out.print(f"\nMacro-F1 on {outcome.rows}.", markup=False)
    for entry in outcome.tuned:
        out.print(f"{entry.candidate.name}: {entry.verdict}.", markup=False)
    out.print("The best of many trials flatters itself: only the test part says how good it is.")
    out.print(
        f"Next: `stance train --config {output}`, then `stance eval`; `stance ui` shows the trials.", markup=False
    )


def _show_trials(entry: Tuned) -> None:
    names = list(entry.trials[0].options)
    title = f"\n{entry.candidate.name}: {len(entry.trials)} trials, {len(entry.best)} of them to the end"
    table = new_table("trial", "macro-F1", "95 % interval", *map(escape, names), title=escape(title))
    for trial in entry.best[:SHOWN]:
        score = trial.macro_f1
        if score:
            values = (escape(str(trial.options[name])) for name in names)
            table.add_row(str(trial.number), f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", *values)
    before = entry.before
    table.add_row("as it was", f"{before.value:.3f}", f"{before.low:.3f} to {before.high:.3f}")
    out.print(table)
    if entry.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in entry.importances.items())
        out.print(f"What mattered, as far as {len(entry.best)} trials tell: {shares}", markup=False)
