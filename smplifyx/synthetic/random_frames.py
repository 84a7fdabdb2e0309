"""Random numbers of the frames of a video: correlated in time, each with the distribution that was asked for.

Detectors err alike in consecutive frames. :class:`CorrelatedRandom` has the methods of numpy's generator that the
simulated detector uses; rows are frames. A Gaussian copula makes the correlation, so rates, tails and sizes of errors
stay those of independent frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit

FloatArray = NDArray[np.float64]
Size = int | tuple[int, ...]


class CorrelatedRandom:
    """Random arrays whose rows are consecutive frames.

    The underlying normal numbers are the sum of an autoregressive process of first order and of independent noise.

    Args:
        rng: source of all randomness.
        correlation: of the autoregressive part between a frame and the next.
        share: of the autoregressive part in the variance; the rest is independent.
    """

    def __init__(self, rng: np.random.Generator, correlation: float = 0.9, share: float = 0.75) -> None:
        self._rng, self._correlation, self._share = rng, correlation, share

    def standard_normal(self, size: Size) -> FloatArray:
        """Normal numbers [F, ...] of variance one."""
        steps = self._rng.standard_normal(size)
        steps[1:] *= np.sqrt(1.0 - self._correlation**2)
        lasting = lfilter([1.0], [1.0, -self._correlation], steps, axis=0)
        fresh = self._rng.standard_normal(size)
        return np.asarray(np.sqrt(self._share) * lasting + np.sqrt(1.0 - self._share) * fresh)

    def normal(self, loc: float, scale: float, size: Size) -> FloatArray:
        """Normal numbers [F, ...]."""
        return np.asarray(loc + scale * self.standard_normal(size))

    def random(self, size: Size) -> FloatArray:
        """Numbers [F, ...] uniform from 0 to 1."""
        return np.asarray(ndtr(self.standard_normal(size)))

    def uniform(self, low: float, high: float, size: Size) -> FloatArray:
        """Numbers [F, ...] uniform between two bounds."""
        return np.asarray(low + (high - low) * self.random(size))

    def standard_t(self, df: float, size: Size) -> FloatArray:
        """Numbers [F, ...] of Student's t."""
        return np.asarray(stdtrit(df, self.random(size)))

    def integers(self, low: int, *, size: Size) -> NDArray[np.int64]:
        """Integers [F, ...] from 0 to ``low`` - 1."""
        return np.minimum((low * self.random(size)).astype(np.int64), low - 1)


#: Random numbers of a simulated detector.
RandomSource = np.random.Generator | CorrelatedRandom
