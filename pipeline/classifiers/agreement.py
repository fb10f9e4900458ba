"""The exported form of a classifier, and how far its labels are those of the trained one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.classifiers import Classifier, create
from pipeline.config import Candidate
from pipeline.errors import InputError
from pipeline.scoring.calibration import Calibration

LEAST = 0.99  # of the sentences
MOST = 600  # sentences: a base-size encoder takes minutes for thousands


def exported_form(candidate: Candidate, classifier: Classifier) -> Classifier:
    """Return a classifier as it will be when it is loaded from its export."""
    exported = create(candidate)
    exported.restore(classifier.state())
    return exported


def check_agreement(
    candidate: Candidate, trained: Classifier, exported: Classifier, calibration: Calibration, texts: Sequence[str]
) -> dict[str, float]:
    """Return what the manifest says of an exported encoder, {} where there is none.

    The trained one labels in torch and float32, at most `MOST` of the texts. InputError if these show (one-sided
    binomial test, 5 %) that more than 1 % of all get another label: which texts are drawn must not decide.
    """
    if not exported.state().blobs:
        return {}
    from scipy.stats import binom

    from pipeline.classifiers.encoding import exact

    texts = texts[:: max(1, math.ceil(len(texts) / MOST))]
    with exact():
        trained_labels = calibration.apply(trained.decision_function(texts)).argmax(1)
    equal = calibration.apply(exported.decision_function(texts)).argmax(1) == trained_labels
    share = float(equal.mean())
    if binom.cdf(equal.sum(), len(texts), LEAST) < 0.05:
        raise InputError(
            f"candidate {candidate.name!r}",
            f"its exported form labels {share:.1%} of {len(texts)} held-out sentences as the trained one does",
            expected=f"{LEAST:.0%} or more",
            then="set `precision: float32` in its options",
        )
    return {"label_agreement": share, "sentences": len(texts)}
