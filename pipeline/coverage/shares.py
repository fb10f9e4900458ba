"""Shares of labels in a batch, corrected by labelled sentences: prediction-powered inference on arrays.

Counting what a model says is biased by what it gets wrong. Labelled sentences say by how much: the share of a label
is `slope * mean probability + offset`, where both are fitted to articles whose labels are known, so that the
correction is right whatever the model does, and the intervals are as narrow as its probabilities are good
(Angelopoulos et al., 2023, "Prediction-powered inference"; the slope is the power tuning of PPI++, 2023).

Articles are the units throughout: sentences of one article are not independent. The share that is estimated is that
of the batch at hand, as a person would find it who read all of it. A group (an outlet, a month) takes the correction
of all labelled articles, moved toward its own residuals as far as groups are shown to differ (empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
# Groups may differ in what the model gets wrong, by a standard deviation of at most this part of a label's share.
MOST_BETWEEN = 0.5
GRID = 40  # standard deviations that are tried


@dataclass(frozen=True)
class Sums:
    """What the model thinks of sentences, added up: one row an article, or a group of articles."""

    sentences: np.ndarray  # shape (n,)
    probabilities: np.ndarray  # shape (n, k)
    spread: np.ndarray  # shape (n, k, k): covariance of the labels' counts if the probabilities are right
    confidence: np.ndarray  # the largest probability, shape (n,)

    @classmethod
    def of(cls, probabilities: np.ndarray, codes: np.ndarray, size: int) -> Sums:
        """Add up sentences, shape (rows, k), into `size` rows by their codes, shape (rows,)."""
        spread = probabilities[:, :, None] * (np.eye(probabilities.shape[1]) - probabilities[:, None, :])
        return cls(np.ones(len(codes)), probabilities, spread, probabilities.max(1)).by(codes, size)

    def by(self, codes: np.ndarray, size: int) -> Sums:
        """Add up rows by their codes, shape (n,), into `size` rows; what has the code -1 is left out."""
        return Sums(*(add_up(values, codes, size) for values in vars(self).values()))

    def __getitem__(self, rows: np.ndarray | slice) -> Sums:
        """Take some rows."""
        return Sums(*(values[rows] for values in vars(self).values()))

    def __sub__(self, other: Sums) -> Sums:
        """Take other sentences out, row by row."""
        return Sums(*(mine - theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


def add_up(values: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    """Add up values, shape (n, ...), by their codes, shape (n,); what has the code -1 is left out."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))[codes >= 0]
    totals = [np.bincount(codes[codes >= 0], column, size) for column in flat.T]
    return np.stack(totals, 1).reshape(size, *values.shape[1:])


@dataclass(frozen=True)
class Correction:
    """How labels differ from probabilities, fitted to n labelled articles; arrays of shape (k,) unless said."""

    slope: np.ndarray
    offset: np.ndarray
    slopes: np.ndarray  # without each article in turn, shape (n, k)
    offsets: np.ndarray  # shape (n, k)
    overdispersion: np.ndarray  # variance of an article's residual over what its probabilities imply
    effects: np.ndarray  # what is added to a group's share, shape (groups, k)
    effect_variance: np.ndarray  # shape (groups, k)
    trust: np.ndarray  # in a group's own residuals, 0 to 1, shape (groups, k)

    @property
    def articles(self) -> int:
        """Labelled articles."""
        return len(self.slopes)


def fit_correction(labelled: Sums, labels: np.ndarray, codes: np.ndarray, size: int) -> Correction:
    """Fit the correction to labelled articles.

    Args:
        labelled: the labelled sentences, one row an article, n of them.
        labels: how many of them have each label, shape (n, k).
        codes: the group of each article, shape (n,); -1: none.
        size: number of groups; one group is everything, so that it does not differ from others.

    """
    total, counts = labelled.sentences.sum(), labelled.sentences[:, None]
    moments = _moments(labelled, labels)
    slope, offset = _regress(labelled.probabilities.sum(0), labels.sum(0), total, moments.sum(0))
    slopes, offsets = _regress(
        labelled.probabilities.sum(0) - labelled.probabilities,
        labels.sum(0) - labels,
        total - counts,
        moments.sum(0) - moments,
    )
    residuals = labels - slope * labelled.probabilities - offset * counts
    implied = np.diagonal(labelled.spread, axis1=1, axis2=2)
    freedom = max(len(labels) - 2, 1) / len(labels)
    overdispersion = _divide((residuals**2).sum(0), implied.sum(0) * freedom)
    own = add_up(counts, codes, size)
    means = _divide(add_up(residuals, codes, size), own)
    within = np.where(own > 0, _divide(overdispersion * add_up(implied, codes, size), own**2), np.inf)
    share = labels.sum(0) / total
    most = MOST_BETWEEN * np.minimum(share, 1 - share) if size > 1 else np.zeros_like(share)
    return Correction(slope, offset, slopes, offsets, overdispersion, *_effects(means, within, most))


def _moments(labelled: Sums, labels: np.ndarray) -> np.ndarray:
    """Return each article's products of labels, probabilities and sentences, shape (n, 5, k)."""
    p, counts = labelled.probabilities, labelled.sentences[:, None]
    return np.stack([p * labels, p * p, labels * counts, p * counts, np.broadcast_to(counts**2, p.shape)], 1)


def _regress(p: np.ndarray, y: np.ndarray, total: np.ndarray, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and offset from sums over articles, shape (..., k), and their moments, shape (..., 5, k).

    The slope makes the variance of the articles' residuals least; 0 where all probabilities are the same.
    """
    py, pp, yn, pn, nn = np.moveaxis(moments, -2, 0)
    p, y = p / total, y / total
    slope = _divide(py - y * pn - p * yn + p * y * nn, pp - 2 * p * pn + p * p * nn)
    return slope, y - slope * p


def _effects(means: np.ndarray, within: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the effect of each group, its variance, and the trust in the group's own mean; each (groups, k).

    Random effects whose standard deviation is not estimated, which a few groups cannot do, but integrated over:
    from 0 to `most`, shape (k,), all as likely beforehand, by the restricted likelihood of the groups' means.
    """
    seen = np.isfinite(within) & (within > 0)
    between = (np.linspace(0, 1, GRID)[:, None, None] * most) ** 2
    total = np.where(seen, between + within, np.inf)
    weights = 1 / total
    centre = _divide((weights * means).sum(1), weights.sum(1))[:, None]
    terms = np.where(seen, np.log(np.where(seen, total, 1)) + weights * (means - centre) ** 2, 0).sum(1)
    spread = np.where(seen.any(0), weights.sum(1), 1)
    likelihood = -0.5 * (terms + np.log(spread))
    posterior = np.exp(likelihood - likelihood.max(0))
    posterior = (posterior / posterior.sum(0))[:, None]
    trust = _divide(between, total)
    effects = (posterior * trust * means).sum(0)
    variance = (posterior * (between * (1 - trust) + (trust * means) ** 2)).sum(0) - effects**2
    return effects, variance, (posterior * trust).sum(0)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; what is divided by nothing is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.zeros(part.shape), where=np.isfinite(whole) & (whole > 0))


@dataclass(frozen=True)
class Shares:
    """Estimated shares of each label in each group, and how they vary."""

    values: np.ndarray  # shape (groups, k)
    covariance: np.ndarray  # shape (groups, k, k)
    freedom: np.ndarray  # degrees of freedom of the t distribution, shape (groups,)

    @property
    def _reach(self) -> np.ndarray:
        """How many standard errors an interval reaches, shape (groups,)."""
        from scipy.special import stdtrit

        return np.asarray(stdtrit(self.freedom, 0.5 + CONFIDENCE / 2))

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and upper ends of each share, both of shape (groups, k)."""
        reach = self._reach[:, None] * np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        return np.clip(self.values - reach, 0, 1), np.clip(self.values + reach, 0, 1)

    def side(self, first: int, second: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the share of one label among the sentences that have one of two, with its interval; shape (groups,).

        Fieller (1954): all ratios that the two shares do not refute, which is right for few sentences too and
        reaches from 0 to 1 where they say nothing. The value is NaN where neither label is there at all.
        """
        a, b = self.values[:, first], self.values[:, second]
        aa, bb = self.covariance[:, first, first], self.covariance[:, second, second]
        ab = self.covariance[:, first, second]
        reach = self._reach**2
        # (a - ratio * (a + b))^2 <= reach * its variance, a quadratic inequality in the ratio.
        square = (a + b) ** 2 - reach * (aa + 2 * ab + bb)
        middle = a * (a + b) - reach * (aa + ab)
        root = np.sqrt(np.maximum(middle**2 - square * (a**2 - reach * aa), 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = (middle - root) / square, (middle + root) / square
            value = a / (a + b)
        known = square > 0
        return value, np.where(known, np.clip(low, 0, 1), 0.0), np.where(known, np.clip(high, 0, 1), 1.0)


def estimate(correction: Correction, rest: Sums, known: np.ndarray, articles: np.ndarray) -> Shares:
    """Estimate the share of each label in each group of a batch.

    Args:
        correction: fitted with the same groups.
        rest: the sentences of the batch that are not labelled, one row a group.
        known: labelled sentences of the batch by label, shape (groups, k); 0 where the labelled ones are of others.
        articles: of each group, shape (groups,).

    """
    counts = rest.sentences[:, None]
    total = counts + known.sum(1, keepdims=True)
    mean = _divide(rest.probabilities, counts)
    predicted = correction.slope * mean + correction.offset + correction.effects
    values = np.clip(_divide(known + counts * predicted, total), 0, 1)
    # Three sources: the fitted correction (jackknife over articles), the group's own, and the labels of the rest.
    turns = correction.slopes[:, None] * mean + correction.offsets[:, None]
    turns = (turns - turns.mean(0)) * (1 - correction.trust)
    n, size = correction.articles, values.shape[1]
    covariance = np.einsum("ngk,ngl->gkl", turns, turns) * (n - 1) / n
    covariance += np.eye(size) * correction.effect_variance[:, None]
    scale = np.sqrt(correction.overdispersion)
    own = np.outer(scale, scale) * _divide(rest.spread, counts[:, :, None] ** 2)
    # One article of few can have a residual that no normal distribution gives; so the tails are those of its articles
    # as far as the variance is their own (Satterthwaite, 1946).
    fitted, theirs = (np.trace(part, axis1=1, axis2=2) for part in (covariance, own))
    most = max(n - 2, 1)
    spread = fitted**2 / most + theirs**2 / np.maximum(articles - 1, 1)
    freedom = np.where(spread > 0, np.minimum(_divide((fitted + theirs) ** 2, spread), most), most)
    return Shares(values, (covariance + own) * _divide(counts, total)[:, :, None] ** 2, freedom)
