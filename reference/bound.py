"""How far from the oracle a right implementation may be: a bound per element, not a constant.

The oracle runs again a few times with every operation perturbed by Gaussian noise of the size of the
rounding errors of the format under test.  An elementwise result y gets sigma = u |y|; a matrix product
over k terms gets sigma = u |y| + u_acc sqrt((k + 1) x^2 . y^2 + k y^2 / 3), the statistical size of k
accumulated roundings (Higham, Accuracy and Stability of Numerical Algorithms, section 2.8): the first part
for terms of either sign, the second for partial sums that drift towards the result.  The bound is K standard
deviations of what comes out; elements of a row share some of their variance, because eight runs estimate
one element's too roughly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .dtypes import FORMATS, Format
from .oracle import Arithmetic, Array, Stages, combine_heads

K = 12.0
RUNS = 8
SHARED = 0.1  # the part of a row's mean variance that each of its elements is given
UNRESOLVED = 0.5  # a score known no better than this leaves the softmax of its row undetermined


class Noise(Arithmetic):
    """Arithmetic with the rounding errors of a format, drawn `runs` times at once on a leading axis."""

    def __init__(self, form: Format, *, softmax: Format | None = None, runs: int = RUNS, seed: int = 0):
        self._form = form
        self._softmax_unit = max(form.unit, softmax.unit) if softmax else form.unit
        self._runs = runs
        self._generator = np.random.default_rng(seed)

    def enter(self, x: Array) -> Array:
        """Give an argument the leading axis of the runs."""
        return x[None]

    def _perturbed(self, y: Array, sigma: Array) -> Array:
        return np.asarray(y + sigma * self._generator.standard_normal((self._runs, *y.shape[1:])))

    def rounded(self, y: Array) -> Array:
        """Perturb an elementwise result."""
        return self._perturbed(y, self._form.unit * np.abs(y) + self._form.smallest)

    def lowered(self, y: Array) -> Array:
        """Perturb what is cast to a coarser format on its way into the softmax."""
        if self._softmax_unit == self._form.unit:
            return y
        return self._perturbed(y, self._softmax_unit * np.abs(y))

    def softened(self, y: Array) -> Array:
        """Perturb an elementwise result of the softmax."""
        return self._perturbed(y, self._softmax_unit * np.abs(y))

    def total(self, x: Array, axis: int) -> Array:
        """Perturb a sum that, unlike those of a matrix product, may be accumulated in the format itself."""
        y = x.sum(axis=axis, keepdims=True)
        length = x.shape[axis]
        squares = np.square(x).sum(axis=axis, keepdims=True)
        spread = np.sqrt((length + 1.0) * squares + length / 3.0 * np.square(y))
        return self._perturbed(y, self._form.unit * (np.abs(y) + spread) + self._form.smallest)

    def denominator(self, x: Array) -> Array:
        """Perturb the sum of a row of the softmax, which may be added up one by one."""
        y = x.sum(axis=-1, keepdims=True)
        return self._perturbed(y, self._softmax_unit * np.sqrt(1.0 + x.shape[-1] / 3.0) * y)

    def normalised(self, weights: Array, scores: Array) -> Array:
        """Perturb the weights of each row together, as the rounding of its log sum exp would."""
        largest = np.where(weights > 0.0, np.abs(scores), 0.0).max(axis=-1, keepdims=True, initial=0.0)
        return np.asarray(weights * self._perturbed(np.ones_like(largest), self._softmax_unit * largest))

    def through_peaks(self, d_scores: Array, weights: Array, terms: Array, width: int) -> Array:
        """Perturb every key that is the largest of some tile, as the sum over that tile is rounded.

        exp(s - max s) / sum has no gradient through max s but for what rounding makes of a sum that is zero:
        one for each row, or tile of keys with a maximum of its own, or tile after which a running maximum is
        taken.  In the last case two sums over all keys so far meet, at each tile again, and what is left goes
        to the largest of those keys.
        Noise of that size, and not the sum itself: most implementations leave it where it is.
        """
        length = weights.shape[-1]
        each, sums = self._softmax_unit**2, self._form.accumulation**2 * width
        running = weights == np.maximum.accumulate(weights, axis=-1)
        variance = running * length * (2.0 * each + sums) * np.square(terms.sum(axis=-1, keepdims=True))
        tile = 2
        while tile < 2 * length:
            starts = np.arange(0, length, tile)
            largest, total = np.maximum.reduceat(weights, starts, -1), np.add.reduceat(terms, starts, -1)
            room = np.repeat((tile * each + sums) * np.square(total), tile, axis=-1)[..., :length]
            variance += (weights == np.repeat(largest, tile, axis=-1)[..., :length]) * room
            tile *= 2
        return self._perturbed(d_scores, np.sqrt(variance) * (weights > 0.0))

    def matmul(self, x: Array, y: Array) -> Array:
        """Perturb a matrix product."""
        product = np.asarray(x @ y)
        length = x.shape[-1]
        # Partial sums that drift to the result grow linearly: their squares add up to a third of k y^2.
        spread = np.sqrt((length + 1.0) * (np.square(x) @ np.square(y)) + length / 3.0 * np.square(product))
        sigma = self._form.unit * np.abs(product) + self._form.accumulation * spread + self._form.smallest
        return self._perturbed(product, sigma)


@dataclass(frozen=True, eq=False)
class Bounds:
    """The largest lawful distance from the oracle, element by element."""

    output: Array  # (B, n_q, d)
    weights: Array  # (B, h, n_q, n_k)


def spread(exact: Array, noisy: Array) -> Array:
    """Return K standard deviations of the noisy runs around the exact result, smoothed over rows."""
    variance = np.mean(np.square(noisy - exact), axis=0)
    return np.asarray(K * np.sqrt(_smoothed(variance)))


def floors(exact: Stages, scale: float, W_o: Array, dtype: str) -> Bounds:
    """Return a part of the bounds that costs one product to know.

    Some of the noise of the last operations reaches the result whatever else happens: the rounding of the
    context, the sums and the rounding of the output; for the weights, the rounding of each key and the sums
    of each score, which no other key's noise can cancel.  Half of that leaves room for the estimate of
    eight runs.  An error below it needs no noisy runs to be called lawful.
    """
    form = FORMATS[dtype]
    unit, sums = form.unit**2, form.accumulation**2
    d_k = exact.split_key.shape[-1]
    n_k = exact.weights.shape[-1]
    averages = np.square(exact.weights) @ np.square(exact.split_value)
    context = combine_heads(unit * np.square(exact.context) + sums * (n_k + 1.0) * averages)
    through = (context + sums * (W_o.shape[0] + 1.0) * np.square(exact.combined)) @ np.square(W_o)
    output = unit * np.square(exact.output) + through
    products = np.square(exact.split_query) @ np.square(exact.split_key).swapaxes(-2, -1) * scale**2
    scores = unit * np.square(exact.scores) + (sums * (d_k + 1.0) + unit) * products
    weights = np.square(exact.weights) * (unit + np.square(1.0 - exact.weights) * scores)
    return Bounds(*(np.asarray(0.5 * K * np.sqrt(_smoothed(variance))) for variance in (output, weights)))


def _smoothed(variance: Array) -> Array:
    """Give each element a part of its row's mean variance."""
    if variance.shape[-1] == 0:
        return variance
    return np.asarray(variance + SHARED * variance.mean(axis=-1, keepdims=True))


def bounds(
    exact: Stages, noisy: Stages, allowed: Array | None, W_o: Array, dtype: str, softmax_unit: float = 0.0
) -> Bounds:
    """Return the bounds for output and weights.

    A row whose softmax the format cannot resolve may put its weight on any key that it may see: it is given
    the width of the hull of their values, through |W_o|, and 1 for its weights.
    """
    form = FORMATS[dtype]
    subnormal = 4.0 * form.smallest
    output = spread(exact.output, noisy.output) + subnormal * (1.0 + np.abs(W_o).sum(axis=0))
    weights = spread(exact.weights, noisy.weights) + subnormal
    unresolved = unresolved_rows(exact, noisy, allowed, max(form.unit, softmax_unit))
    if unresolved.any():
        hull = hulls(exact, unresolved[..., 0], allowed).swapaxes(-3, -2)
        output = output + hull.reshape(*exact.output.shape[:-1], -1) @ np.abs(W_o)
        weights = weights + unresolved
    return Bounds(output, weights)


def hulls(exact: Stages, rows: Array, allowed: Array | None) -> Array:
    """Return how far apart the allowed keys' values are, (B, h, n_q, d_k), in the rows marked; else zero."""
    example, head, _ = where = np.nonzero(rows)
    values = exact.split_value[example, head]
    seen = True if allowed is None else np.broadcast_to(allowed, exact.scores.shape)[where][..., None]
    widths = np.zeros_like(exact.context)
    widths[where] = np.where(seen, values, -np.inf).max(axis=1) - np.where(seen, values, np.inf).min(axis=1)
    return widths


def unresolved_rows(exact: Stages, noisy: Stages, allowed: Array | None, unit: float) -> Array:
    """Mark the rows (B, h, n_q, 1) in which a relevant key's score is too uncertain for a softmax."""
    if exact.scores.shape[-1] == 0:
        return np.zeros((*exact.scores.shape[:-1], 1), dtype=bool)
    sigma = K * np.sqrt(np.mean(np.square(noisy.scores - exact.scores), axis=0))
    scores = exact.scores if allowed is None else np.where(allowed, exact.scores, -np.inf)
    peak = (scores - sigma).max(axis=-1, keepdims=True)
    relevant = scores + sigma > peak + np.log(unit)
    return np.asarray(np.any(relevant & (sigma > UNRESOLVED), axis=-1, keepdims=True))
