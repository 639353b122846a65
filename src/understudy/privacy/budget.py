"""A privacy budget: (epsilon, delta) under add-or-remove-one-unit neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.errors import BudgetError


@dataclass(frozen=True, order=False)
class Budget:
    """`epsilon` and `delta`; raises `BudgetError` for values that promise nothing.

    Adding two budgets is basic composition, an upper bound; the ledger composes events instead.
    """

    epsilon: float
    delta: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise BudgetError(
                f"epsilon must be a positive number, found {self.epsilon}. Small is private: 1 is "
                "strong, 3 moderate, 10 weak. To run without differential privacy say --no-dp."
            )
        if not 0 <= self.delta < 1:
            raise BudgetError(
                f"delta must lie in [0, 1), found {self.delta}. Take 1 over ten times the number "
                "of people, or less."
            )

    def __add__(self, other: Budget) -> Budget:
        return Budget(self.epsilon + other.epsilon, min(self.delta + other.delta, 1 - 1e-16))

    def __sub__(self, other: Budget) -> Budget:
        """What is left; raises `BudgetError` when nothing is."""
        if other.epsilon >= self.epsilon or other.delta > self.delta:
            raise BudgetError(f"{other} does not fit into {self}: nothing would be left.")
        return Budget(self.epsilon - other.epsilon, self.delta - other.delta)

    def covers(self, other: Budget) -> bool:
        """Whether a mechanism with `other` also meets this budget."""
        return other.epsilon <= self.epsilon and other.delta <= self.delta

    def __str__(self) -> str:
        return f"({self.epsilon:g}, {self.delta:g})"
