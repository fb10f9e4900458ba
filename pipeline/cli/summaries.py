"""What a stage found, as it is printed: tables that align, then sentences."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from pipeline.cli.console import out
from pipeline.cli.console import table as new_table

if TYPE_CHECKING:
    from pipeline.bundle import Bundle
    from pipeline.config import Config
    from pipeline.data.dataset import Dataset, Example
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.evaluate import Evaluation, Table
    from pipeline.prediction import Summary
    from pipeline.training.train import TrainingResult
    from pipeline.training.tuning import TuningResult
    from pipeline.training.tuning.trials import Trial, Tuned

SHOWN = 5  # trials of each candidate


def show_data(dataset: Dataset, settings: Config) -> None:
    """Print counts, agreement and leaks."""
    from pipeline.labelling.agreement import measure_agreement

    table = new_table("origin", "part", "articles", "sentences", *settings.label_names)
    for place in [*sorted({(e.origin, e.split) for e in dataset.examples}), None]:
        rows = [e for e in dataset.examples if place in (None, (e.origin, e.split))]
        counts = Counter(e.label for e in rows)
        numbers = [len({e.article_id for e in rows}), len(rows), *(counts[name] for name in settings.label_names)]
        table.add_row(*(place or ("all", "")), *map(str, numbers), style=None if place else "bold")
    out.print(table)
    if dataset.unlabelled:
        out.print(f"{dataset.unlabelled} articles have no label yet")
    found = measure_agreement(dataset.annotations, settings.label_names, random_state=settings.random_state)
    if found:
        out.print(
            f"\nAgreement of annotators: Krippendorff's alpha {found.alpha:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] over {found.spans} sentences annotated twice; "
            f"{found.differ} differed and were adjudicated."
        )
    out.print(
        f"Leak report: {len(dataset.duplicates)} pairs of near-duplicate articles, {dataset.across or 'none'} across "
        "the split; "
        f"{len(dataset.leaks)} sentences of the train part stand in another part too and are withheld."
    )
    for leak in dataset.leaks[:10]:
        out.print(f"  {leak.first} ~ {leak.second} ({leak.overlap:.0%})")
    if settings.data.source:
        out.print(f"Text and labels are those of {settings.data.source}.")
        return
    out.print(f"Labels are a language model's reading under {settings.data.labels / 'CODEBOOK.md'}.")
    out.print(f"The articles of origin {', '.join(settings.data.invented)} are invented.")


def show_training(outcome: TrainingResult, settings: Config) -> None:
    """Print the candidates, what was selected and why, and where it went."""
    from pipeline.training.gains import against_tfidf
    from pipeline.training.train import describe_scores

    title = "Candidates on rows that are new to them: macro-F1, of real and of invented text, and F1 of each label"
    positive = (f"F1 of {', '.join(settings.positive)}",) if settings.positive else ()
    columns = ("rows", "macro-F1", "95 % interval", *positive, "real", "invented", *settings.label_names, "seconds")
    table = new_table("candidate", *columns, title=title)
    for result in outcome.results:
        scores = describe_scores(result, settings)
        chosen = result is outcome.selected
        numbers = [f"{scores[f'f1_{name}']:.3f}" for name in settings.label_names]
        apart = [scores.get(f"macro_f1_{kind}") for kind in ("real", "invented")]
        table.add_row(
            result.candidate.name + (" *" if chosen else ""),
            f"{scores['rows']:.0f}",
            f"{scores['macro_f1']:.3f}",
            f"{scores['macro_f1_low']:.3f} to {scores['macro_f1_high']:.3f}",
            *(f"{scores['positive_f1']:.3f}" for _ in positive),
            *("" if score is None else f"{score:.3f}" for score in apart),
            *numbers,
            f"{result.seconds:.0f}",
            style="bold" if chosen else None,
        )
    out.print(table)
    real = outcome.results[0].real
    if not real.all():
        words = "rows are real text; scores on invented text are no guide to news."
        out.print(f"{int(real.sum())} of the {len(real)} {words}")
    if not all(result.held_out.all() for result in outcome.results):
        out.print("The pretrained model has learned from the invented train text: it is scored on the real rows alone.")
    if gains := against_tfidf(outcome.results, settings):
        out.print("\nMacro-F1 against tfidf on the same held-out rows (paired bootstrap over articles):")
        for gain in gains:
            out.print(f"  {gain} (on {gain.rows:,} rows)")
    out.print(f"\n* selected: {outcome.reason}.")
    out.print(f"{str(outcome.abstention).capitalize()}.")
    alias = outcome.folder.name if outcome.verdict.promoted else "challenger"
    out.print(f"{outcome.verdict}", markup=False)
    out.print(f"Exported to {outcome.folder}/, registered as models:/stance/{outcome.model_version} ({alias}).")
    if not outcome.verdict.promoted:
        out.print(f"{settings.output}/ is unchanged; `stance train --promote` would replace it all the same.")
    out.print("Next: `make eval` scores it on the test part; `make ui` shows the runs.")


def show_evaluation(whole: Evaluation, bundle: Bundle, settings: Config) -> None:
    """Print the scores beside the baselines, how far confidence can be believed, and where the model is weak."""
    from pipeline.evaluation.evaluate import BASELINES

    tables = whole.tables
    baselines = [name for name in BASELINES if name in tables[0].baselines]
    positive = (
        (f"F1 of {', '.join(bundle.label_names[label] for label in bundle.positive)}",) if bundle.positive else ()
    )
    table = new_table("rows", "articles", "sentences", "macro-F1", "95 % interval", *positive, *baselines)
    for found in tables:
        table.add_row(
            found.name,
            str(found.articles),
            str(found.rows),
            f"{found.macro_f1.value:.3f}",
            f"{found.macro_f1.low:.3f} to {found.macro_f1.high:.3f}" + ("" if not found.note else " †"),
            *([f"{found.positive_f1.value:.3f}"] if found.positive_f1 else []),
            *(f"{found.baselines[name].value:.3f}" if name in found.baselines else "" for name in baselines),
        )
    out.print(table)
    if any(found.note for found in tables):
        out.print("† fewer than ten articles: the interval is over sentences.")
    _show_confidence(whole)
    for found in tables:
        _show_classes(found, bundle.label_names)
    for part in whole.weakest[:4]:
        out.print(f"Weak on {part.dimension}: {part.value}, macro-F1 {part.macro_f1}, {len(part.rows)} sentences")
    if whole.behaviour and whole.baseline_behaviour:
        cases, rates = len(whole.behaviour.trials), (whole.behaviour.rate, whole.baseline_behaviour.rate)
        out.print(f"Behaviour: {rates[0]:.0%} of {cases} cases pass; a keyword list passes {rates[1]:.0%}.")
    hidden = f"{whole.audit.change.value:+.3f} macro-F1 with the obvious words hidden; " if whole.audit.change else ""
    single = f"{whole.audit.share:.0%} of {whole.audit.looked_at} stance predictions hang on one word."
    out.print(f"Keywords: {hidden}{single}")
    if whole.untried:
        out.print(f"Not tried, because the config names none: {', '.join(whole.untried)}.")
    if not settings.data.source:
        out.print("Labels are a language model's reading under the codebook; authored articles are invented.")


def _show_confidence(whole: Evaluation) -> None:
    """Print how far confidence can be believed, and what the threshold for abstaining comes to."""
    from pipeline.reporting.findings import describe_answers, describe_first_stage
    from pipeline.scoring.abstention import SHARES

    asked = whole.abstention
    title = "\nConfidence: calibration error, Brier score; answered, and right of these, from the threshold on"
    table = new_table("rows", "ECE [95 %]", "Brier [95 %]", "answered [95 %]", "right [95 %]", title=title)
    for found in whole.tables:
        sure = [str(score) if score else "" for score in (found.answered, found.answered_right)]
        table.add_row(found.name, str(found.ece), str(found.brier), *sure)
    out.print(table)
    if whole.answered_by_label:
        out.print(f"Right from the threshold on, by label: {describe_answers(whole)} ({whole.tables[0].name}).")
    out.print(f"{str(asked).capitalize()}." if asked else "Threshold: the model's manifest holds none; train again.")
    surest = ", ".join(f"{whole.coverage.at(share):.1%} of the surest {share:.0%}" for share in SHARES)
    out.print(f"Right without a threshold: {surest}; area under the risk-coverage curve {whole.coverage.aurc:.3f}.")
    if whole.first_stage:
        out.print(describe_first_stage(whole))


def _show_classes(found: Table, label_names: tuple[str, ...]) -> None:
    from pipeline.scoring.metrics import f1, precision, recall

    table = new_table("label", "precision", "recall", "F1", "sentences", title=f"\n{found.name.strip()}, per label")
    columns = zip(
        label_names, precision(found.matrix), recall(found.matrix), f1(found.matrix), found.matrix.sum(1), strict=True
    )
    for name, *scores, rows in columns:
        table.add_row(name, *(f"{score:.3f}" for score in scores), str(int(rows)))
    out.print(table)


def show_batch(summary: Summary, output: Path) -> None:
    """Print what a batch did."""
    counts = ", ".join(f"{n} {name}" for name, n in (summary.labels or {}).items())
    out.print(f"{summary.articles} articles, {summary.sentences} sentences ({counts}): {output}")
    if summary.unknown:
        names = ", ".join(f"{name!r} ({count})" for name, count in sorted(summary.unknown.items()))
        sys.stderr.write(f"the model has not learned the targets {names}: labelled by what its targets share\n")
    if summary.rejected:
        out.print(f"{summary.rejects} inputs could not be read: {summary.rejected} says where and why")


def show_comparison(found: Comparison, models: tuple[Path, Path], rows: Sequence[Example]) -> None:
    """Print two models' scores on the same rows and the verdict."""
    table = new_table("model", "macro-F1", "95 % interval", "right where the other is wrong")
    lines = [(f"A {models[0]}", found.first, found.only_first), (f"B {models[1]}", found.second, found.only_second)]
    for name, score, alone in lines:
        table.add_row(name, f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", str(alone))
    out.print(table)
    articles = len({row.group for row in rows})
    out.print(f"\nMacro-F1 on {len(rows)} sentences of {articles} articles: {found.verdict}.")
    out.print(f"McNemar's exact test on the rows where one alone is right: p = {found.p_value:.3g}.")


def describe_trial(trial: Trial, total: int) -> str:
    """Return the line that tells how a trial ended."""
    options = ", ".join(f"{name} {value}" for name, value in trial.options.items())
    found = trial.ended or f"macro-F1 {trial.macro_f1}"
    return f"{trial.candidate} trial {trial.number} of {total}: {found}; {options}"


def show_tuning(outcome: TuningResult, output: Path) -> None:
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
