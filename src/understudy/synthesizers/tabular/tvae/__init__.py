"""The variational autoencoder engine; see `engine` for what it does."""

from understudy.synthesizers.tabular.tvae.engine import TvaeSynthesizer
from understudy.synthesizers.tabular.tvae.model import TvaeModel

__all__ = ["TvaeModel", "TvaeSynthesizer"]
