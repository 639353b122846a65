"""The conditional GAN engine; see `engine` for what it does."""

from understudy.synthesizers.tabular.ctgan.engine import CtganSynthesizer
from understudy.synthesizers.tabular.ctgan.model import CtganModel

__all__ = ["CtganModel", "CtganSynthesizer"]
