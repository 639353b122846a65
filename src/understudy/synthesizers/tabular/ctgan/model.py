"""A fitted conditional GAN: draws rows, scores records. Torch is not needed here.

The critic is kept beside the generator, so that a model that leaves can be attacked itself. Fitted
under a budget, both are post-processing of paid answers and may leave with the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.ctgan.generator import Maker, maker_of
from understudy.synthesizers.tabular.ctgan.judging import Judgement, judgement_of
from understudy.synthesizers.tabular.ctgan.slots import Slots
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.head import Arrays, head_of
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.latent_model import LatentModel
from understudy.synthesizers.tabular.neural.modes import Modes


@dataclass(frozen=True)
class CtganModel(LatentModel):
    """See the module's docstring."""

    engine = "ctgan"

    @classmethod
    def made_of(cls, modes: Modes, arrays: Arrays, gaps: Gaps) -> LatentDrawing:
        slots = Slots(modes)
        judgement_of(arrays, modes.width + slots.width)  # for its checks
        maker = maker_of(slots, arrays)
        return LatentDrawing(maker, head_of(modes, arrays, maker.width), gaps)

    @classmethod
    def configured(cls, options: dict[str, Any]) -> Any:
        from understudy.synthesizers.tabular.ctgan.engine import CtganSynthesizer

        return CtganSynthesizer(**options)

    def scores(self, dataset: Dataset) -> dict[str, Floats]:
        """The critic's score of each row, float64 [rows], for attacks on the model itself."""
        return {"critic": self.scores_of(dataset)}

    def scored(self, codes: NDArray[np.int64]) -> Floats:
        """The mean over the labels that a condition could name of the critic's score of the row and
        that condition, among made rows that are the same for every row."""
        modes, maker = self.drawing.modes, self.drawing.source
        assert isinstance(maker, Maker)
        slots = maker.slots
        judgement = judgement_of(self.arrays, modes.width + slots.width)
        beside = self._beside(slots, judgement)
        dense, mode = modes.dense(codes), modes.cells(codes)[0]
        found = np.zeros(len(codes))
        for k, j in enumerate(slots.columns):
            named = slots.vector(np.full(len(codes), k), mode[:, j])
            found += judgement.scores(np.concatenate((dense, named), 1), beside)
        if not slots.columns:
            return judgement.scores(dense, beside)
        return found / len(slots.columns)

    def _beside(self, slots: Slots, judgement: Judgement) -> NDArray[np.float32]:
        """float32 [pac - 1, size]: made rows that fill a pack."""
        rng = stream(0, self.engine, "beside")
        codes = self.drawing.draw(judgement.pac, {}, rng, 0)
        assert codes is not None
        modes = slots.modes
        dense = np.zeros((judgement.pac, modes.width), np.float32)
        tokens, _ = codes
        mode = tokens[:, [self.drawing.places[name][0] for name in modes.codings]]
        dense[np.arange(len(mode))[:, None], mode + np.array(modes.first[:-1])] = 1.0
        which, _ = slots.draw(judgement.pac, slots.frequencies, rng)
        named = (
            mode[np.arange(len(mode)), np.array(slots.columns)[which]] if slots.columns else which
        )
        return np.concatenate((dense, slots.vector(which, named)), 1)[1:]
