"""The mixed-type diffusion engine; see `engine` for what it does."""

from understudy.synthesizers.tabular.tabdiff.engine import TabDiffSynthesizer
from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel

__all__ = ["TabDiffModel", "TabDiffSynthesizer"]
