"""A fitted engine of latent states: what its model is, whichever network is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.privacy.audit import Audit
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.neural.coded_model import CodedModel
from understudy.synthesizers.tabular.neural.filling import as_learnt, missing, readable
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.head import Arrays
from understudy.synthesizers.tabular.neural.latent import LatentDrawing
from understudy.synthesizers.tabular.neural.modes import Modes

SCORED = 8_192
"""Rows scored at a time."""
UNKNOWN = -100.0
"""Added to a row's score for each cell that the model cannot make."""


@dataclass(frozen=True)
class LatentModel(CodedModel, ABC):
    """`arrays` is all that the networks are; `drawing` is made of them. Torch is not needed.
    `audit` is what canaries in the training proved, known to whoever has just fitted."""

    config: Any
    rows: int
    assembly: Assembly
    drawing: LatentDrawing
    arrays: Arrays
    private: bool
    to_frame: Callable[[Dataset], Any] | None = None
    audit: Audit | None = None

    engine: ClassVar[str]

    @classmethod
    @abstractmethod
    def made_of(cls, modes: Modes, arrays: Arrays, gaps: Gaps) -> LatentDrawing:
        """The drawing; raises `FormatError` where the arrays do not fit."""

    @classmethod
    @abstractmethod
    def configured(cls, options: dict[str, Any]) -> Any:
        """The engine's configuration."""

    @abstractmethod
    def scored(self, codes: NDArray[np.int64]) -> Floats:
        """float64 [rows]: how well the model knows rows of codes [rows, columns]."""

    def scores_of(self, dataset: Dataset) -> Floats:
        """float64 [rows]: the same for rows of the source. Raises `ColumnError` for columns or
        types that are not those learnt."""
        table = self.assembly.forward(as_learnt(self.assembly, dataset))
        codes = self.drawing.modes.encode(table)
        parts = [self.scored(codes[i : i + SCORED]) for i in range(0, len(codes), SCORED)]
        found = np.concatenate(parts) if parts else np.zeros(0)
        for name, coding in self.drawing.codings.items():
            known = readable(coding.axis, table[name]) | missing(table[name])
            found[~known] += UNKNOWN
        return found

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `latent_files`."""
        from understudy.synthesizers.tabular.neural.latent_files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.tabular.neural.latent_files import load

        return load(cls, path)
