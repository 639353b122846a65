"""How good the synthetic data is: every number beside what real data scores."""

from understudy.evaluation.scorecard import Scorecard, evaluate
from understudy.evaluation.tabsyn import TabSyn, evaluate_tabsyn

__all__ = ["Scorecard", "TabSyn", "evaluate", "evaluate_tabsyn"]
