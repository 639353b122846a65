"""Does the audit still work? Planted leaks must be caught, and harmless tables must pass."""

from understudy.selfcheck.budget_cases import BUDGET_CASES, BudgetCase
from understudy.selfcheck.cases import CASES, Case
from understudy.selfcheck.judge import Outcome, selfcheck

__all__ = ["BUDGET_CASES", "CASES", "BudgetCase", "Case", "Outcome", "selfcheck"]
