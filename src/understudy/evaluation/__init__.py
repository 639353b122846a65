"""How good the synthetic data is: every number beside what real data scores."""

from understudy.evaluation.scorecard import Scorecard, evaluate

__all__ = ["Scorecard", "evaluate"]
