"""The any-order autoregressive engine; see `engine` for what it does."""

from understudy.synthesizers.tabular.autoregressive.engine import AutoregressiveSynthesizer
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel

__all__ = ["AutoregressiveModel", "AutoregressiveSynthesizer"]
