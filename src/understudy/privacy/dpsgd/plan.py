"""The one object that sampler, clipper, noise and ledger of a training read.

What breaks guarantees in practice is two places that disagree: a sampler with another rate than the
accountant's, noise for another clip, a divisor taken from the data. So all of it is decided here,
once, from public numbers, and nothing downstream takes the length of anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from understudy.errors import BudgetError, EngineError
from understudy.privacy.accountant import calibrate
from understudy.privacy.budget import Budget
from understudy.privacy.events import Event, PoissonGaussian

Clipping = Literal["automatic", "flat"]
MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class PrivacyPlan:
    """`steps` noisy sums of gradients, each of units that joined with chance `rate`.

    A unit adds a vector of norm at most `clip` to a sum, the noise has standard deviation
    `sigma * clip`, and the sum is divided by `expected_batch`, a constant. `flat` clipping scales
    by min(1, clip / norm); `automatic` by clip / (norm + .01), which leaves no clip to tune (Bu et
    al. 2023).
    """

    rate: float
    steps: int
    sigma: float
    expected_batch: float
    clip: float = 1.0
    clipping: Clipping = "automatic"
    unit: str = "row"

    relation: ClassVar[str] = "add or remove one unit"
    """Sampling amplifies privacy for these neighbours only."""

    def __post_init__(self) -> None:
        for name in ("expected_batch", "clip"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise EngineError(f"{name} of a plan must be a positive number, found {value}.")
        if self.clipping not in ("automatic", "flat"):
            raise EngineError(f"clipping is 'automatic' or 'flat', found {self.clipping!r}.")
        _ = self.event  # checks rate, sigma and steps

    @property
    def event(self) -> PoissonGaussian:
        """What the whole training costs."""
        return PoissonGaussian(self.rate, self.sigma, self.steps)

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise on each coordinate of a sum."""
        return self.sigma * self.clip

    @classmethod
    def solve(
        cls,
        budget: Budget,
        *,
        units: int,
        expected_batch: int,
        steps: int | None = None,
        sigma: float | None = None,
        already: Sequence[Event] = (),
        clip: float = 1.0,
        clipping: Clipping = "automatic",
        unit: str = "row",
    ) -> PrivacyPlan:
        """The plan that spends what `already` leaves of `budget`: sigma from steps, or steps from
        sigma. It was evaluated and costs no more than that.

        `units` is public or was bought; where it is a little off, the batches are, and the
        guarantee is not. Raises `BudgetError` when the budget cannot be met.
        """
        if (steps is None) == (sigma is None):
            raise EngineError(
                f"a plan is solved for one of steps and sigma from the other; found steps={steps} "
                f"and sigma={sigma}. Leave out the one that you want."
            )
        if units < 1 or expected_batch < 1:
            raise EngineError(
                f"a plan needs at least one unit and an expected batch of at least one, found "
                f"{units} and {expected_batch}."
            )
        rate = min(1.0, expected_batch / units)
        if steps is None:
            assert sigma is not None
            steps = _steps_for(budget, rate, sigma, already)
        elif sigma is None:
            sigma = _sigma_for(budget, rate, steps, already)
        return cls(rate, steps, sigma, rate * units, clip, clipping, unit)


def _sigma_for(budget: Budget, rate: float, steps: int, already: Sequence[Event]) -> float:
    if budget.delta == 0:
        raise BudgetError(
            "DP-SGD adds Gaussian noise, which needs a delta above zero. Take one below one over "
            "ten times the number of people."
        )
    return calibrate(lambda x: [PoissonGaussian(rate, x, steps)], budget, already=already)


def _steps_for(budget: Budget, rate: float, sigma: float, already: Sequence[Event]) -> int:
    """The most steps, by the search for a scale that is inverse to their number."""

    def steps_at(x: float) -> int:
        return min(max(1, int(1000 / x)), MOST_STEPS)

    try:
        x = calibrate(
            lambda x: [PoissonGaussian(rate, sigma, steps_at(x))], budget, already=already
        )
    except BudgetError:
        raise BudgetError(
            f"not even one step with noise multiplier {sigma:g} at sampling rate {rate:.3g} fits "
            f"into {budget}{' beside what was spent before' if already else ''}. Take a larger "
            "sigma, a smaller batch, or more epsilon."
        ) from None
    return steps_at(x)
