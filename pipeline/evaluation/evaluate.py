"""The one door to the test part: score the exported folder on it, beside the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from pathlib import Path

from pipeline.bundle import Bundle
from pipeline.config import Config
from pipeline.data.dataset import load_dataset
from pipeline.evaluation.attribution import Audit, ExplainedRow, audit, read_obvious, select_errors
from pipeline.evaluation.behaviour import Suite, read_cases, try_cases
from pipeline.evaluation.measured import measured_subsets
from pipeline.evaluation.rows import ScoredRows, check_labels, fit_baselines, predict_rows, read_rows
from pipeline.evaluation.slices import Slice, score_slices, weakest
from pipeline.evaluation.subsets import Subset, by_origin, metrics_of, score_test_part
from pipeline.progress import ProgressCallback, ignore_progress
from pipeline.scoring.abstention import Abstention, RiskCoverage, risk_coverage
from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.calibration import softmax
from pipeline.scoring.metrics import GROUPS_RIGHT, MACRO_F1, Reliability, difference, reliability_curve
from pipeline.scoring.scores import Scores


@dataclass(frozen=True)
class FirstStageCost:
    """What the first stage saves, and what it costs."""

    share: float  # of the rows, that it answers
    exact_gain: Interval  # what macro-F1 is more without it, paired


@dataclass(frozen=True)
class Evaluation:
    """All that is known of a model on the test part, or on a file."""

    label_names: tuple[str, ...]
    subsets: tuple[Subset, ...]  # the first one is the headline: real documents, wherever some are known
    contrast: Subset | None
    rows: ScoredRows  # that are looked into: their text is here
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
    def headline(self) -> Subset:
        """What a reader should believe first."""
        return self.subsets[0]

    @property
    def main(self) -> list[Subset]:
        """The subsets whose scores are shown in full: not the parts of others, nor what little text is here as well."""
        whole = [subset for subset in self.subsets if not subset.nested]
        return [subset for subset in whole if subset.measured or not (subset.real and self.headline.measured)]

    @property
    def scores(self) -> Scores:
        """The scores of the headline."""
        return self.headline.scores

    @cached_property
    def macro_f1(self) -> float:
        """The score on the rows that are looked into."""
        return MACRO_F1.value(self.rows.predictions)

    @cached_property
    def reliability(self) -> Reliability:
        """Confidence against accuracy."""
        return reliability_curve(self.headline.predictions)

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        """What is right when only the most confident rows are answered."""
        return risk_coverage(self.headline.predictions)

    @property
    def weakest(self) -> list[Slice]:
        """Slices that are shown to be worse than the whole."""
        return weakest(self.slices, self.macro_f1)

    @property
    def answered_by_label(self) -> dict[str, float]:
        """Of the answers from the threshold on, the share that is right, for each label that is answered."""
        if self.abstention.confidence is None:
            return {}
        predictions = self.headline.predictions
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

    Scores a labelled table (`data`) in place of the test part. InputError where the config's labels are not the
    model's, or there is no row to score.
    """
    check_labels(bundle, config)
    names = bundle.label_names
    cases, obvious = read_cases(config.evaluation.behaviour, names), read_obvious(config.evaluation.obvious)
    on_progress(0.0, "score rows")
    dataset = load_dataset(config)
    baselines = fit_baselines(dataset.part("train"), names, config)
    rows, contrast = predict_rows(bundle, baselines, read_rows(dataset, config, data)), None
    if data:
        metrics = metrics_of(bundle)
        subsets = [Subset.of(data.name, rows, metrics), *by_origin(rows, metrics)]
    else:
        # Of the test part, these are scored by themselves.
        whole, groups = (
            predict_rows(bundle, baselines, dataset.part(name)) for name in ("full-article-test", "contrast-test")
        )
        subsets, rows = score_test_part(rows, whole, measured_subsets(bundle), bundle, config)
        contrast = Subset.of("contrast", groups, (MACRO_F1, GROUPS_RIGHT)) if groups.examples else None
    texts = bundle.normalize(bundle.read_examples(rows.examples))
    on_progress(0.3, "try behaviour cases")
    keywords = baselines.get("keywords")
    tried = {"a keyword list": keywords, "behaviour cases": cases, "a list of obvious words": obvious}
    behaviour = try_cases(cases, bundle.predict_proba, names, bundle.decide)
    baseline_behaviour = None
    if keywords:
        baseline_behaviour = try_cases(cases, lambda texts: softmax(keywords.decision_function(texts)), names)
    on_progress(0.4, "audit keywords")
    audited = audit(bundle, texts, rows.predictions, obvious)
    on_progress(0.7, "weigh the words of mistakes")
    mistakes, unsure = select_errors(bundle, rows.examples, texts, rows.predictions)
    return Evaluation(
        label_names=names,
        subsets=tuple(subsets),
        contrast=contrast,
        rows=rows,
        abstention=bundle.abstention,
        slices=tuple(score_slices(rows.examples, rows.predictions, obvious)),
        behaviour=behaviour,
        baseline_behaviour=baseline_behaviour,
        audit=audited,
        mistakes=tuple(mistakes),
        unsure=tuple(unsure),
        first_stage=_first_stage_cost(bundle, texts, rows),
        untried=tuple(name for name, thing in tried.items() if not thing),
    )


def _first_stage_cost(bundle: Bundle, texts: Sequence[str], rows: ScoredRows) -> FirstStageCost | None:
    """Let the whole model read what the first stage answered: the rest, it has read already."""
    if not bundle.stages:
        return None
    predictions, exact = rows.predictions, rows.predictions.probabilities.copy()
    exact[rows.first_stage] = bundle.predict_in_stages(list(compress(texts, rows.first_stage)), exact=True)[0]
    without = replace(predictions, y_pred=bundle.decide(exact), probabilities=exact)
    return FirstStageCost(float(rows.first_stage.mean()), difference(MACRO_F1, predictions, without))
