"""A fitted variational autoencoder: draws rows, scores records. Torch is not needed here.

Fitted under a budget, everything in the model is post-processing of paid answers and may leave with
the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.head import Arrays, head_of
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.latent_model import LatentModel
from understudy.synthesizers.tabular.neural.modes import Modes
from understudy.synthesizers.tabular.tvae.decoder import decoder_of
from understudy.synthesizers.tabular.tvae.encoder import encoder_of

DRAWS = 4
"""Latents that a row's score is a mean over, the same for all rows."""


@dataclass(frozen=True)
class TvaeModel(LatentModel):
    """See the module's docstring."""

    engine = "tvae"

    @classmethod
    def made_of(cls, modes: Modes, arrays: Arrays, gaps: Gaps) -> LatentDrawing:
        encoder_of(arrays, modes)  # for its checks
        decoder = decoder_of(arrays)
        return LatentDrawing(decoder, head_of(modes, arrays, decoder.width), gaps)

    @classmethod
    def configured(cls, options: dict[str, Any]) -> Any:
        from understudy.synthesizers.tabular.tvae.engine import TvaeSynthesizer

        return TvaeSynthesizer(**options)

    def scores(self, dataset: Dataset) -> dict[str, Floats]:
        """The evidence lower bound of each row, float64 [rows], in nats: how well the model knows
        it, for attacks on the model itself."""
        return {"evidence": self.scores_of(dataset)}

    def scored(self, codes: NDArray[np.int64]) -> Floats:
        head = self.drawing.head
        encoder = encoder_of(self.arrays, head.modes)
        decoder = decoder_of(self.arrays)
        mean, spread = encoder.latents(head.modes.dense(codes))
        noise = stream(0, "tvae", "scores").standard_normal((DRAWS, mean.shape[1]))
        total = np.zeros(len(codes))
        for one in noise.astype(np.float32):
            latent = mean + spread * one
            state = decoder.hidden(latent)
            total += head.log_chances(state, codes) + decoder.prior.log_density(latent)
            total += (np.log(spread) + 0.5 * one**2 + 0.5 * np.log(2 * np.pi)).sum(1)
        return total / DRAWS
