"""The marginal engine; see `engine` for what it does and `planning` for what it costs."""

from understudy.synthesizers.tabular.marginals.engine import MarginalSynthesizer
from understudy.synthesizers.tabular.marginals.model import MarginalModel

__all__ = ["MarginalModel", "MarginalSynthesizer"]
