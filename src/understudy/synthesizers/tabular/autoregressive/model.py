"""A fitted autoregressive engine: draws rows, fills missing cells, scores records.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. Fitted under a budget, everything in the model is
post-processing of paid answers and may leave with the data. Torch is not needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.privacy.audit import Audit
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.neural.coded_model import CodedModel

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.autoregressive.engine import AutoregressiveSynthesizer


@dataclass(frozen=True)
class AutoregressiveModel(CodedModel):
    """See the module's docstring. `rows` is how many were learnt from, counted or bought; `audit`
    what canaries in the training proved, known to whoever has just fitted."""

    config: AutoregressiveSynthesizer
    rows: int
    assembly: Assembly
    drawing: Drawing
    private: bool
    to_frame: Callable[[Dataset], Any] | None = None
    audit: Audit | None = None

    engine = "autoregressive"

    def impute(self, data: Any, *, seed: int | None = None) -> Dataset:
        """`data` with its missing cells drawn given the others; see `filling.filled`."""
        from understudy.data import read
        from understudy.synthesizers.tabular.autoregressive.filling import filled

        dataset = data if isinstance(data, Dataset) else read(data)
        return filled(self, dataset, self.config.seed if seed is None else seed)

    def log_likelihood(self, data: Any, *, order: Sequence[str] | None = None) -> Floats:
        """float64 [rows]: see `filling.log_likelihood`."""
        from understudy.data import read
        from understudy.synthesizers.tabular.autoregressive.filling import log_likelihood

        dataset = data if isinstance(data, Dataset) else read(data)
        return log_likelihood(self, dataset, order)

    def scores(self, dataset: Dataset) -> dict[str, Floats]:
        """How well the model knows each row, for attacks on the model itself."""
        return {"likelihood": self.log_likelihood(dataset)}

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `files`."""
        from understudy.synthesizers.tabular.autoregressive.files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> AutoregressiveModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.tabular.autoregressive.files import load

        return load(path)
