"""The one door to the test part: score the exported folder on it, beside the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import create, index_labels
from pipeline.config import Candidate, Config
from pipeline.data.dataset import Example, load_dataset, read_labelled
from pipeline.errors import InputError
from pipeline.evaluation.attribution import Audit, audit, read_obvious
from pipeline.evaluation.behaviour import Suite, read_cases, try_cases
from pipeline.evaluation.mistakes import Mistake, select_errors
from pipeline.evaluation.slices import Slice, score_slices, weakest
from pipeline.progress import ProgressCallback
from pipeline.scoring import metrics
from pipeline.scoring.abstention import Abstention, RiskCoverage, risk_coverage
from pipeline.scoring.calibration import softmax

BASELINES = ("majority", "keywords", "tfidf")


@dataclass(frozen=True)
class Table:
    """Scores on one set of rows: the model's, and the baselines' on the same rows."""

    name: str
    rows: int
    articles: int
    macro_f1: metrics.Interval
    baselines: dict[str, metrics.Interval]
    matrix: np.ndarray
    ece: metrics.Interval
    brier: metrics.Interval
    note: str = ""
    positive_f1: metrics.Interval | None = None  # where the model names positive labels
    answered: metrics.Interval | None = None  # the share that is as sure as the model's threshold asks
    answered_right: metrics.Interval | None = None  # of these


@dataclass(frozen=True)
class Evaluation:
    """All that was found out about a model on one set of rows; arrays run over `examples`."""

    label_names: tuple[str, ...]
    tables: list[Table]  # the first one is about all rows
    examples: tuple[Example, ...]
    y_true: np.ndarray
    probabilities: np.ndarray
    gain: metrics.Interval  # over the best baseline, paired
    best_baseline: str
    reliability: metrics.Reliability
    coverage: RiskCoverage
    abstention: Abstention | None
    slices: list[Slice]
    behaviour: Suite | None
    baseline_behaviour: Suite | None  # the keyword baseline on the same cases
    audit: Audit
    mistakes: list[Mistake]
    unsure: list[Mistake]
    first_stage: tuple[float, metrics.Interval] | None = None  # the share it answers; the gain of `--exact`, paired
    untried: tuple[str, ...] = ()  # what the config names nothing for

    @property
    def weakest(self) -> list[Slice]:
        """Slices that are shown to be worse than the whole."""
        return weakest(self.slices, self.tables[0].macro_f1.value)

    @property
    def answered_by_label(self) -> dict[str, float]:
        """Of the answers from the threshold on, the share that is right, for each label that is answered."""
        if self.abstention is None or self.abstention.confidence is None:
            return {}
        sure, y_pred = self.probabilities.max(1) >= self.abstention.confidence, self.probabilities.argmax(1)
        matrix = metrics.confusion(self.y_true[sure], y_pred[sure], len(self.label_names))
        shares = zip(self.label_names, metrics.precision(matrix), matrix.sum(0), strict=True)
        return {name: float(share) for name, share, answers in shares if answers}


@dataclass(frozen=True)
class _Scored:
    """Tables, and what the first of them was made of."""

    tables: list[Table]
    examples: tuple[Example, ...]
    probabilities: np.ndarray
    baselines: Mapping[str, Callable[[Sequence[str]], np.ndarray]]  # texts to scores


def evaluate(
    bundle: Bundle,
    config: Config,
    data: Path | None = None,
    on_progress: ProgressCallback = lambda share, words: None,
) -> Evaluation:
    """Find out what people ask before they trust a model: where it fails, is it calibrated, what it rests on.

    Args:
        bundle: the exported model.
        config: says where articles, labels and the baselines' data are.
        data: a labelled table to score instead of the test part.
        on_progress: told the share that is done, and what is being done.

    """
    names = bundle.label_names
    tried_on = config.evaluation
    cases, obvious = read_cases(tried_on.behaviour, names), read_obvious(tried_on.obvious)
    on_progress(0.0, "score rows")
    scored = _score(bundle, config, data)
    y_true, y_pred = index_labels(scored.examples, names), scored.probabilities.argmax(1)
    texts, groups = [e.input for e in scored.examples], [e.article_id for e in scored.examples]
    best = max(scored.baselines, key=lambda kind: scored.tables[0].baselines[kind].value)
    baseline = scored.baselines[best](texts).argmax(1)
    on_progress(0.2, "score slices")
    slices = score_slices(scored.examples, y_true, y_pred, len(names), obvious)
    on_progress(0.3, "try behaviour cases")
    behaviour = try_cases(cases, bundle.predict_proba, names)
    keywords = scored.baselines.get("keywords")
    baseline_behaviour = try_cases(cases, lambda texts: softmax(keywords(texts)), names) if keywords else None
    untried = {"a keyword list": keywords, "behaviour cases": cases, "a list of obvious words": obvious}
    on_progress(0.4, "audit keywords")
    audited = audit(bundle, bundle.read_examples(scored.examples), y_true, groups, obvious)
    on_progress(0.7, "weigh the words of mistakes")
    mistakes, unsure = select_errors(bundle, scored.examples, y_true, scored.probabilities)
    return Evaluation(
        label_names=names,
        tables=scored.tables,
        examples=scored.examples,
        y_true=y_true,
        probabilities=scored.probabilities,
        gain=metrics.paired_difference(y_true, baseline, y_pred, groups, len(names)),
        best_baseline=best,
        reliability=metrics.reliability(y_true, scored.probabilities),
        coverage=risk_coverage(y_true, scored.probabilities),
        abstention=bundle.abstention,
        slices=slices,
        behaviour=behaviour,
        baseline_behaviour=baseline_behaviour,
        audit=audited,
        mistakes=mistakes,
        unsure=unsure,
        first_stage=_try_first_stage(bundle, scored, y_true, groups),
        untried=tuple(name for name, found in untried.items() if not found),
    )


def _score(bundle: Bundle, config: Config, data: Path | None) -> _Scored:
    dataset = load_dataset(config)
    train = dataset.part("train")
    options: dict[str, dict[str, Any]] = {kind: {} for kind in BASELINES}
    if config.evaluation.lexicon:
        options["keywords"] = {"lexicon": config.evaluation.lexicon}
    else:
        del options["keywords"]
    kinds = {
        kind: create(Candidate(name=kind, kind=kind, options=own), config.random_state) for kind, own in options.items()
    }
    for kind in kinds.values():
        kind.fit(train, bundle.label_names, lambda share, words: None)
    baselines = {kind: baseline.decision_function for kind, baseline in kinds.items()}
    main = tuple(read_labelled(data, bundle.label_names) if data is not None else dataset.part("test"))
    if not main:
        empty, then = config.data.seeds / "index.csv", "label more articles and run `stance split`"
        if config.data.source:
            empty, then = Path(config.data.source), "score a labelled file with --data"
        raise InputError(empty, "no labelled sentence is in the test part", then=then)
    texts = [example.input for example in main]
    probabilities = bundle.predict_proba(bundle.read_examples(main))
    found = {kind: baseline(texts).argmax(1) for kind, baseline in baselines.items()}

    def part(name: str, rows: Sequence[int]) -> Table:
        own = {kind: baseline[rows] for kind, baseline in found.items()}
        return _table(name, [main[row] for row in rows], probabilities[rows], bundle, own)

    def where(name: str, kept: Callable[[Example], bool]) -> list[Table]:
        rows = [row for row, example in enumerate(main) if kept(example)]
        return [part(name, rows)] if rows else []

    everything = range(len(main))
    if data is not None:
        sources = sorted({example.origin for example in main})
        rows_of = {name: [row for row in everything if main[row].origin == name] for name in sources}
        parts = [part(f"  {name}", rows) for name, rows in rows_of.items()]
        return _Scored(
            [part(data.name, everything), *(parts if len(parts) > 1 else [])], main, probabilities, baselines
        )
    tables = [part("test part", everything)]
    tables += where("  authored (invented text)", lambda e: e.origin in config.data.invented)
    tables += where("  real text", lambda e: e.origin not in config.data.invented)
    if running := dataset.part("full-article-test"):
        texts = [example.input for example in running]
        own = {kind: baseline(texts).argmax(1) for kind, baseline in baselines.items()}
        tables.append(
            _table(
                "whole articles, all sentences",
                running,
                bundle.predict_proba(bundle.read_examples(running)),
                bundle,
                own,
            )
        )
    real = [row for row, example in enumerate(main) if example.origin not in config.data.invented]
    folded = [e for e in train if e.id in bundle.manifest.out_of_fold]
    if real and folded:
        stored = np.array([bundle.manifest.out_of_fold[example.id] for example in folded])
        both = [*(main[row] for row in real), *folded]
        stacked = np.vstack([probabilities[real], stored])
        # The threshold for abstaining was found on the rows out of fold: these cannot test it.
        tables.append(_table("real text, test and out of fold", both, stacked, bundle, {}, tested=False))
    return _Scored(tables, main, probabilities, baselines)


def _try_first_stage(
    bundle: Bundle, scored: _Scored, y_true: np.ndarray, groups: Sequence[str]
) -> tuple[float, metrics.Interval] | None:
    if bundle.first_stage is None:
        return None
    texts = bundle.read_examples(scored.examples)
    first, _ = bundle.first_stage.answer(bundle.normalize(texts))
    exact, _ = bundle.predict_in_stages(texts, exact=True)
    y_pred, y_exact = scored.probabilities.argmax(1), exact.argmax(1)
    return float(first.mean()), metrics.paired_difference(y_true, y_pred, y_exact, groups, len(bundle.label_names))


def _table(
    name: str,
    examples: Sequence[Example],
    probabilities: np.ndarray,
    bundle: Bundle,
    baselines: dict[str, np.ndarray],
    *,
    tested: bool = True,
) -> Table:
    size = len(bundle.label_names)
    y_true, y_pred = index_labels(examples, bundle.label_names), probabilities.argmax(1)
    groups = [example.article_id for example in examples]
    interval = metrics.interval(y_true, y_pred, groups, size)
    answered = right = None
    if tested and bundle.abstention and bundle.abstention.confidence is not None:
        sure = probabilities.max(1) >= bundle.abstention.confidence
        answered = metrics.ratio(sure, np.ones(len(sure)), groups)
        right = metrics.ratio(sure & (y_pred == y_true), sure, groups) if sure.any() else None
    return Table(
        name=name,
        rows=len(examples),
        articles=len(set(groups)),
        macro_f1=interval,
        baselines={kind: metrics.interval(y_true, baseline, groups, size) for kind, baseline in baselines.items()},
        matrix=metrics.confusion(y_true, y_pred, size),
        ece=metrics.ece_interval(y_true, probabilities, groups),
        brier=metrics.brier_interval(y_true, probabilities, groups),
        note="" if interval.unit == "articles" else "few articles: interval over sentences",
        positive_f1=metrics.interval(
            y_true, y_pred, groups, size, statistic=partial(metrics.macro_f1, labels=bundle.positive)
        )
        if bundle.positive
        else None,
        answered=answered,
        answered_right=right,
    )
