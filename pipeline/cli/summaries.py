"""What comes of a stage, as it is printed: tables that align, then sentences."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.cli.console import out
from pipeline.cli.console import table as new_table
from pipeline.cli.options import command

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.data.dataset import Dataset
    from pipeline.prediction import Summary
    from pipeline.training.results import CandidateResult
    from pipeline.training.train import TrainingResult
    from pipeline.training.tuning import TuningResult
    from pipeline.training.tuning.study import TrialResult
    from pipeline.training.tuning.trials import Tuned

SHOWN = 5  # trials of each candidate, or texts


def show_data(dataset: Dataset, settings: Config, config: Path) -> None:
    """Print counts, agreement and leaks; of the user's own labels first. `config` is the file."""
    own = [] if settings.data.source else [example for example in dataset.examples if example.own]
    if own:
        parts = ", ".join(f"{count} in the {part} part" for part, count in Counter(e.split for e in own).items())
        out.print(f"Your own labels: {len(own)} sentences of {len({e.article_id for e in own})} articles ({parts}).\n")
    _show_counts(dataset, settings)
    if dataset.unlabelled:
        out.print(f"{dataset.unlabelled} articles have no label yet")
    _show_agreement(dataset, {example.article_id for example in own}, settings)
    _show_equal_texts(dataset)
    if settings.data.source:
        out.print(f"Text and labels are those of {settings.data.source}.")
        return
    if settings.data.corpora and not settings.data.corpora.exists():
        out.print(f"Real text with labels is not here yet; {command('corpora', config=config)} brings it.")
    out.print(f"Labels are a language model's reading under {settings.data.labels / 'CODEBOOK.md'}.")
    out.print(f"The articles of origin {', '.join(settings.data.invented)} are invented.")


def _show_counts(dataset: Dataset, settings: Config) -> None:
    table = new_table("origin", "part", "articles", "sentences", *settings.label_names)
    for place in [*sorted({(not e.own, e.origin, e.split) for e in dataset.examples}), None]:
        rows = [e for e in dataset.examples if place in (None, (not e.own, e.origin, e.split))]
        counts = Counter(e.label for e in rows)
        numbers = [len({e.article_id for e in rows}), len(rows), *(counts[name] for name in settings.label_names)]
        table.add_row(*(place[1:] if place else ("all", "")), *map(str, numbers), style=None if place else "bold")
    out.print(table)


def _show_agreement(dataset: Dataset, own: set[str], settings: Config) -> None:
    """Print how far annotators agree: on the user's own articles where there are some."""
    from pipeline.labelling.agreement import measure_agreement

    annotations = [row for row in dataset.annotations if not own or row.article_id in own]
    agreement = measure_agreement(annotations, settings.label_names, random_state=settings.random_state)
    if agreement:
        alpha = f"Krippendorff's alpha {agreement.alpha:.3f} [{agreement.low:.3f}, {agreement.high:.3f}]"
        twice = f"{agreement.spans} sentences annotated twice; {agreement.differ} differed and were adjudicated"
        out.print(f"\nAgreement of annotators{' on your own labels' * bool(own)}: {alpha} over {twice}.")
    elif own:
        out.print("\nNo sentence of your own was annotated by two annotators yet.")


def _show_equal_texts(dataset: Dataset) -> None:
    """Print what stands in two parts, and what has two labels."""
    pairs = f"{len(dataset.duplicates)} pairs of near-duplicate articles, {dataset.across or 'none'} across the split"
    withheld = f"{len({leak.first for leak in dataset.leaks})} sentences of the train part"
    out.print(f"Leak report: {pairs}; {withheld} stand in another part too and are withheld.")
    for leak in dataset.leaks[: 2 * SHOWN]:
        out.print(f"  {leak.first} ~ {leak.second} ({leak.overlap:.0%})")
    if dataset.contradictions:
        out.print(f"{len(dataset.contradictions)} texts have two labels or more:")
    for rows in dataset.contradictions[:SHOWN]:
        places = ", ".join(f"{row.id} is {row.label}" for row in rows[:SHOWN])
        out.print(f"  {rows[0].text[:60]!r}: {places}")


def show_training(outcome: TrainingResult, settings: Config, config: Path) -> None:
    """Print the candidates, what was selected and why, and where it went; `config` is the file."""
    from pipeline.training.scores import against_tfidf

    _show_scores(outcome, settings)
    _show_kinds_of_text(outcome, settings)
    real = outcome.results[0].real
    if not real.all():
        rows = f"{int(real.sum())} of the {len(real)} rows are real text"
        out.print(f"{rows}; scores on invented text are no guide to news.")
    if not all(result.held_out.all() for result in outcome.results):
        out.print("The pretrained model has learned from the invented train text: it is scored on the real rows alone.")
    if gains := against_tfidf(outcome.results, settings):
        out.print("\nMacro-F1 against tfidf on the same held-out rows (paired bootstrap over articles):")
        for gain in gains:
            out.print(f"  {gain} (on {gain.rows:,} rows)")
    if outcome.own:
        out.print(f"\n{outcome.own}")
    out.print(f"\n* selected: {outcome.reason}.")
    out.print(f"{str(outcome.abstention).capitalize()}.")
    out.print(str(outcome.verdict))
    if outcome.model_version:
        registered = f"models:/{settings.registered_model}/{outcome.model_version} ({outcome.alias})"
        out.print(f"Exported to {outcome.folder}/, registered as {registered}.")
    else:
        out.print(f"{outcome.folder}/ holds this very model already: it stays, and no version was registered.")
    if not (outcome.verdict.promoted or outcome.verdict.unchanged):
        again = command("train", "--promote", config=config)
        out.print(f"{settings.output}/ is unchanged; {again} would replace it all the same.")
    evaluate = command("eval", config=config, model=outcome.folder)
    out.print(f"Next: {evaluate} scores it on the test part; {_ui(settings)} shows the runs.")


def _ui(settings: Config) -> str:
    own = settings.registered_model != type(settings).model_fields["registered_model"].default
    return command("ui", *(("--experiment", settings.registered_model) if own else ()))


def _show_scores(outcome: TrainingResult, settings: Config) -> None:
    """Print every metric of every candidate; that of the positive labels stands beside the F1 of each label."""
    from pipeline.scoring.metrics import METRICS
    from pipeline.training.scores import score_result

    first, *others = METRICS
    titles = (f"{first.title}, interval", *(metric.title for metric in others), "seconds")
    table = new_table("candidate", "rows", *titles, title="Candidates on rows that are new to them")
    for result in outcome.results:
        scores = score_result(result, settings)
        values = (str(scores[first.key]), *(f"{scores[metric.key].value:.3f}" for metric in others))
        table.add_row(_candidate(outcome, result), str(scores.rows), *values, f"{result.seconds:.0f}")
    out.print(table)


def _show_kinds_of_text(outcome: TrainingResult, settings: Config) -> None:
    """Print macro-F1 on real and on invented text, the F1 of each label, and the mean of the positive ones."""
    from pipeline.scoring.metrics import METRICS, metrics_for
    from pipeline.training.scores import score_kinds_of_text, score_result

    means = [metric for metric in metrics_for(settings.label_names, settings.positive) if metric not in METRICS]
    columns = ("real", "invented", *settings.label_names, *(metric.title for metric in means))
    table = new_table("candidate", *columns, title="\nMacro-F1 of real and of invented text, and F1 of each label")
    for result in outcome.results:
        kinds, scores = score_kinds_of_text(result, settings), score_result(result, settings)
        values = [kinds[kind].value if kind in kinds else None for kind in ("real", "invented")]
        values += [label.f1 for label in scores.by_label(settings.label_names)]
        values += [scores[metric.key].value for metric in means]
        table.add_row(_candidate(outcome, result), *("" if value is None else f"{value:.3f}" for value in values))
    out.print(table)
    for metric in means:
        out.print(f"{metric.title}: {metric.meaning}.")


def _candidate(outcome: TrainingResult, result: CandidateResult) -> Text:
    name = result.candidate.name
    return Text(f"{name} *", "bold") if result is outcome.selected else Text(name)


def show_batch(summary: Summary, output: Path) -> None:
    """Print what a batch did; InputError with the first reasons where nothing could be read."""
    summary.check(output)
    off = f"; {summary.off_topic} off topic, not counted" if summary.off_topic else ""
    counts = f"{summary.articles} articles, {summary.sentences} sentences ({_list(summary.labels)}{off})"
    out.print(f"{counts}: {output}")
    if summary.dropped:
        kinds = _list(dict(sorted(summary.dropped.items(), key=lambda item: -item[1])))
        out.print(f"{sum(summary.dropped.values())} lines are no sentences ({kinds}); --show-dropped lists them")
    if summary.undated:
        dates = ", ".join(map(repr, summary.unclear))
        out.print(f"{summary.undated} articles have no sure date ({dates}); it is left empty")
    if summary.unknown:
        names = ", ".join(f"{name!r} ({count})" for name, count in sorted(summary.unknown.items()))
        sys.stderr.write(f"the model has not learned the targets {names}: labelled by what its targets share\n")
    if summary.rejected:
        out.print(f"{summary.rejects} inputs could not be read: {summary.rejected} says where and why")


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def describe_trial(trial: TrialResult, total: int) -> str:
    """Return the line that tells how a trial ended."""
    end = trial.ended or f"macro-F1 {trial.macro_f1}"
    options = ", ".join(f"{name} {value}" for name, value in trial.options.items())
    return f"{trial.candidate} trial {trial.number} of {total}: {end}; {options}"


def show_tuning(outcome: TuningResult, output: Path, settings: Config) -> None:
    """Print what came out of a tuning; `output` is the config that it wrote."""
    for entry in outcome.tuned:
        _show_trials(entry)
    out.print(f"\nMacro-F1 on {outcome.rows}.")
    for entry in outcome.tuned:
        out.print(f"{entry.candidate.name}: {entry.verdict}.")
    out.print("The best of many trials flatters itself: only the test part says how good it is.")
    train, evaluate = command("train", config=output), command("eval", config=output, model=settings.output)
    out.print(f"Next: {train}, then {evaluate}; {_ui(settings)} shows the trials.")


def _show_trials(entry: Tuned) -> None:
    names = list(entry.trials[0].options)
    title = f"\n{entry.candidate.name}: {len(entry.trials)} trials, {len(entry.best)} of them to the end"
    table = new_table("trial", "macro-F1", "95 % interval", *names, title=title)
    for trial in entry.best[:SHOWN]:
        if score := trial.macro_f1:
            options = (str(trial.options[name]) for name in names)
            table.add_row(str(trial.number), f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", *options)
    before = entry.before
    table.add_row("as it was", f"{before.value:.3f}", f"{before.low:.3f} to {before.high:.3f}")
    out.print(table)
    if entry.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in entry.importances.items())
        out.print(f"What mattered, as far as {len(entry.best)} trials tell: {shares}")
