"""The one door to the test part: score the exported folder on it, beside the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.bundle import Bundle
from pipeline.classifiers import Classifier
from pipeline.config import Config
from pipeline.data.dataset import Example, load_dataset
from pipeline.evaluation.attribution import Audit, audit, read_obvious
from pipeline.evaluation.behaviour import Case, Suite, read_cases, try_cases
from pipeline.evaluation.mistakes import ExplainedRow, select_errors
from pipeline.evaluation.rows import ScoredRows, check_labels, fit_baselines, predict_rows, read_rows
from pipeline.evaluation.slices import Slice, score_slices, weakest
from pipeline.evaluation.subsets import Subset, score_parts, score_subset, score_with_out_of_fold
from pipeline.progress import ProgressCallback, ignore_progress
from pipeline.scoring.abstention import Abstention, RiskCoverage, risk_coverage, threshold_metrics
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.calibration import softmax
from pipeline.scoring.metrics import MACRO_F1, Reliability, difference, metrics_for, reliability_curve
from pipeline.scoring.scores import Scores


@dataclass(frozen=True)
class FirstStageCost:
    """What the first stage saves, and what it costs."""

    share: float  # of the rows, that it answers
    exact_gain: Interval  # what macro-F1 is more without it, paired


@dataclass(frozen=True)
class Evaluation:
    """All that is known of a model on one set of rows."""

    label_names: tuple[str, ...]
    rows: ScoredRows
    subsets: tuple[Subset, ...]  # the first one is all rows
    abstention: Abstention
    slices: tuple[Slice, ...]
    behaviour: Suite | None
    baseline_behaviour: Suite | None  # the keyword baseline on the same cases
    audit: Audit
    mistakes: tuple[ExplainedRow, ...]  # the most confident ones
    unsure: tuple[ExplainedRow, ...]
    first_stage: FirstStageCost | None
    untried: tuple[str, ...]  # what the config names nothing for

    @property
    def scores(self) -> Scores:
        """The scores on all rows."""
        return self.subsets[0].scores

    @property
    def best_baseline(self) -> str:
        """The baseline with the highest macro-F1."""
        baselines = self.subsets[0].baselines
        return max(baselines, key=lambda name: baselines[name][MACRO_F1.key].value)

    @cached_property
    def gain(self) -> Interval:
        """What macro-F1 is more than that of the best baseline, paired."""
        return difference(MACRO_F1, self.rows.baselines[self.best_baseline], self.rows.predictions)

    @cached_property
    def reliability(self) -> Reliability:
        """Confidence against accuracy."""
        return reliability_curve(self.rows.predictions)

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """What is right when only the most confident rows are answered."""
        return risk_coverage(self.rows.predictions)

    @property
    def weakest(self) -> list[Slice]:
        """Slices that are shown to be worse than the whole."""
        return weakest(self.slices, self.scores[MACRO_F1.key].value)

    @property
    def answered_by_label(self) -> dict[str, float]:
        """Of the answers from the threshold on, the share that is right, for each label that is answered."""
        if self.abstention.confidence is None:
            return {}
        predictions = self.rows.predictions
        answered = predictions.take(predictions.confidence >= self.abstention.confidence)
        return {
            name: float(answered.hits[answered.y_pred == label].mean())
            for label, name in enumerate(self.label_names)
            if (answered.y_pred == label).any()
        }


def evaluate(
    bundle: Bundle, config: Config, data: Path | None = None, on_progress: ProgressCallback = ignore_progress
) -> Evaluation:
    """Answer what people ask before they trust a model: where it fails, is it calibrated, what it rests on.

    Args:
        bundle: the exported model.
        config: says where articles, labels and the baselines' data are.
        data: a labelled table to score instead of the test part.
        on_progress: called with the share that is done, and words on what is being done.

    Raises:
        InputError: the config's labels are not the model's, or there is no row to score.

    """
    check_labels(bundle, config)
    names = bundle.label_names
    cases, obvious = read_cases(config.evaluation.behaviour, names), read_obvious(config.evaluation.obvious)
    on_progress(0.0, "score rows")
    dataset = load_dataset(config)
    train, main = dataset.part("train"), read_rows(dataset, config, data)
    baselines = fit_baselines(train, names, config)
    asked = predict_rows(bundle, baselines, [*main, *(() if data else dataset.part("full-article-test"))])
    rows, whole_articles = asked.take(range(len(main))), asked.take(range(len(main), len(asked.examples)))
    texts = bundle.normalize(bundle.read_examples(rows.examples))
    on_progress(0.3, "try behaviour cases")
    keywords = baselines.get("keywords")
    tried = {"a keyword list": keywords, "behaviour cases": cases, "a list of obvious words": obvious}
    behaviour = try_cases(cases, bundle.predict_proba, names, bundle.decide)
    on_progress(0.4, "audit keywords")
    audited = audit(bundle, texts, rows.predictions, obvious)
    on_progress(0.7, "weigh the words of mistakes")
    mistakes, unsure = select_errors(bundle, rows.examples, texts, rows.predictions)
    return Evaluation(
        label_names=names,
        rows=rows,
        subsets=tuple(_score_subsets(rows, whole_articles, train, bundle, config, data.name if data else "")),
        abstention=bundle.abstention,
        slices=tuple(score_slices(rows.examples, rows.predictions, obvious)),
        behaviour=behaviour,
        baseline_behaviour=_try_keywords(cases, keywords, names),
        audit=audited,
        mistakes=tuple(mistakes),
        unsure=tuple(unsure),
        first_stage=_first_stage_cost(bundle, texts, rows),
        untried=tuple(name for name, thing in tried.items() if not thing),
    )


def _try_keywords(cases: Sequence[Case], keywords: Classifier | None, label_names: Sequence[str]) -> Suite | None:
    if keywords is None:
        return None
    return try_cases(cases, lambda texts: softmax(keywords.decision_function(texts)), label_names)


def _score_subsets(
    rows: ScoredRows, whole_articles: ScoredRows, train: Sequence[Example], bundle: Bundle, config: Config, name: str
) -> list[Subset]:
    """Score a file of this name by its sources, or the test part by kinds of text."""
    metrics = metrics_for(bundle.label_names, bundle.manifest.positive)
    threshold = bundle.abstention.confidence
    tested = metrics if threshold is None else (*metrics, *threshold_metrics(threshold))
    origins = sorted({example.origin for example in rows.examples})
    if name:
        return score_parts(name, rows, {origin: [origin] for origin in origins}, tested)
    invented, real = config.data.invented, [origin for origin in origins if origin not in config.data.invented]
    subsets = score_parts("test part", rows, {"authored (invented text)": invented, "real text": real}, tested)
    if whole_articles.examples:
        subsets.append(score_subset("whole articles, all sentences", whole_articles, tested))
    # The threshold was found on the rows out of fold: these cannot test it.
    known = [example for example in train if example.origin not in invented]
    return subsets + score_with_out_of_fold(rows.of_origins(real), known, bundle, metrics)


def _first_stage_cost(bundle: Bundle, texts: Sequence[str], rows: ScoredRows) -> FirstStageCost | None:
    """Let the whole model read what the first stage answered: the rest, it has read already."""
    if not bundle.stages:
        return None
    answered, predictions = np.flatnonzero(rows.first_stage).tolist(), rows.predictions
    exact = predictions.probabilities.copy()
    exact[answered] = bundle.predict_in_stages([texts[row] for row in answered], exact=True)[0]
    without = replace(predictions, y_pred=bundle.decide(exact), probabilities=exact)
    return FirstStageCost(float(rows.first_stage.mean()), difference(MACRO_F1, predictions, without))
