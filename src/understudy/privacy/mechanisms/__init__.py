"""Randomised queries, one a file: what it costs, what one unit may change, how noise goes in."""

from understudy.privacy.mechanisms.bounds import Bounds, magnitudes
from understudy.privacy.mechanisms.choice import Choice
from understudy.privacy.mechanisms.counts import NoisyCounts
from understudy.privacy.mechanisms.histogram import StableHistogram, tally
from understudy.privacy.mechanisms.permute_and_flip import PermuteAndFlip
from understudy.privacy.mechanisms.quantiles import Quantiles
from understudy.privacy.mechanisms.row_count import NoisyTotal
from understudy.privacy.mechanisms.sparse_vector import AboveThreshold

__all__ = [
    "AboveThreshold",
    "Bounds",
    "Choice",
    "NoisyCounts",
    "NoisyTotal",
    "PermuteAndFlip",
    "Quantiles",
    "StableHistogram",
    "magnitudes",
    "tally",
]
