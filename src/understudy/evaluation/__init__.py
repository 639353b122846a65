"""How good the synthetic data is: every number beside what real data scores."""

from understudy.evaluation.databases import DatabaseCard, evaluate_database
from understudy.evaluation.scorecard import Scorecard, evaluate
from understudy.evaluation.tabsyn import TabSyn, evaluate_tabsyn

__all__ = [
    "DatabaseCard",
    "Scorecard",
    "TabSyn",
    "evaluate",
    "evaluate_database",
    "evaluate_tabsyn",
]
