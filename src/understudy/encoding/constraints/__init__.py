"""Constraints that hold in every row by construction: the engine models other columns.

Each rule takes a column out of the table the engine sees, or puts another in its place, so that
whatever the engine draws, the way back can only make rows that obey the rule.
"""

from understudy.encoding.constraints.checks import duplicates, violations
from understudy.encoding.constraints.reparametrisation import Reparametrisation

__all__ = ["Reparametrisation", "duplicates", "violations"]
