"""A fitted diffusion engine: draws rows, fills missing cells, scores records.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. Fitted under a budget, everything in the model is
post-processing of paid answers and may leave with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.errors import ConditionError
from understudy.privacy.audit import Audit
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.assembly import Assembly, Domains
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.conditional_model import ConditionalModel
from understudy.synthesizers.tabular.neural.spans import span
from understudy.synthesizers.tabular.tabdiff.mixed import FineCodes

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.tabdiff.conditions import Admitted, Drawing
    from understudy.synthesizers.tabular.tabdiff.engine import TabDiffSynthesizer

SHARD = 8_192
PILOT = 4_096
TRIAL = 1_024
"""Rows that are finished to see how many meet the conditions that select."""
TRIES = 20
MOST = 64
"""Rows finished for each that is asked for, at most, where conditions select."""


@dataclass(frozen=True)
class TabDiffModel(ConditionalModel):
    """See the module's docstring. `rows` is how many were learnt from, counted or bought; `audit`
    what canaries in the training proved, known to whoever has just fitted."""

    config: TabDiffSynthesizer
    rows: int
    assembly: Assembly
    drawing: Drawing
    private: bool
    to_frame: Callable[[Dataset], Any] | None = None
    audit: Audit | None = None

    engine = "tabdiff"

    @property
    def codings(self) -> Mapping[str, Coding]:
        return {name: column.coding for name, column in self.drawing.columns.items()}

    def impute(self, data: Any, *, seed: int | None = None) -> Dataset:
        """`data` with its missing cells drawn given the others; see `neural.filling.filled`."""
        from understudy.data import read
        from understudy.synthesizers.tabular.tabdiff.filling import filled

        dataset = data if isinstance(data, Dataset) else read(data)
        return filled(self, dataset, self.config.seed if seed is None else seed)

    def scores(self, dataset: Dataset) -> dict[str, Floats]:
        """How well the model knows each row, for attacks on the model itself; see `knowing`."""
        from understudy.synthesizers.tabular.tabdiff.knowing import scores

        return scores(self, dataset)

    def admitted(self, domains: Domains, also: Mapping[str, Floats] | None = None) -> Admitted:
        """Conditions as shares of codes; `also` admits groups besides. Raises where a column takes
        no value that meets its condition."""
        found: dict[str, Floats] = {}
        for name, domain in self.assembly.direct(domains).items():
            if name not in self.drawing.columns:
                raise ConditionError(
                    f"column {name!r} is {self.schema.table().column(name).kind}: it is made anew "
                    "and cannot be asked for in `where`."
                )
            column = self.drawing.columns[name]
            found[name] = column.axis.admitted(domain)
            if column.mass(found[name]) <= 0:
                raise ConditionError(
                    f"the model knows no value of column {name!r} with {domain.describe(name)}. "
                    f"{span(column.axis)}"
                )
        for name, groups in (also or {}).items():
            codes = groups[self.codings[name].group]
            found[name] = found.get(name, np.ones_like(codes)) * codes
        return found

    def draw(
        self, admitted: Admitted, rows: int, seed: int, workers: int, name: str
    ) -> list[FineCodes]:
        """Codes for `rows` rows, shard by shard."""
        from understudy.synthesizers.tabular.neural.device import on_threads

        sizes = [min(SHARD, rows - first) for first in range(0, rows, SHARD)]
        calls = [(size, admitted, seed, f"{name}/{i}") for i, size in enumerate(sizes)]
        with on_threads(self.config.threads, seed):
            return run_all(self._shard, calls, workers=workers, threads=True)

    def to_table(
        self, shards: Sequence[FineCodes], domains: Domains, seed: int, attempt: int
    ) -> pa.Table:
        """Codes to rows of the learnt table."""
        parts = []
        for number, codes in enumerate(shards):
            rng = stream(seed, "values", attempt, number)
            parts.append(
                pa.table(
                    {
                        name: column.axis.decode(codes[:, i], rng, domains.get(name))
                        for i, (name, column) in enumerate(self.drawing.columns.items())
                    }
                )
            )
        return pa.concat_tables(parts)

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `files`."""
        from understudy.synthesizers.tabular.tabdiff.files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> TabDiffModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.tabular.neural.device import require_torch
        from understudy.synthesizers.tabular.tabdiff.files import load

        require_torch("tabdiff")
        return load(path)

    def chance(self, admitted: Admitted, seed: int) -> float:
        """By particles that are drawn, and by rows that are finished where conditions select."""
        from understudy.synthesizers.tabular.neural.device import on_threads
        from understudy.synthesizers.tabular.tabdiff.conditions import split

        first, later = split(self.drawing.columns, admitted)
        each = [self.drawing.columns[name].mass(share) for name, share in first.items()]
        if min(each) <= 0 or (len(each) == 1 and not later):
            return min(each)
        rng = stream(seed, "pilot")
        with on_threads(self.config.threads, seed):
            mass = self.drawing.start(PILOT, first, rng)[1]
            if mass > 0 and later:
                mass *= len(self.drawing.draw(TRIAL, admitted, rng)) / TRIAL
        return mass

    def _shard(self, rows: int, admitted: Admitted, seed: int, name: str) -> FineCodes:
        """`rows` rows that meet the conditions; raises where too few of very many do."""
        import torch

        if torch.get_num_threads() != self.config.threads:  # a worker's own
            torch.set_num_threads(self.config.threads)
        rng = stream(seed, "shard", name)
        kept: list[FineCodes] = []
        found = made = 0
        for _ in range(TRIES):
            share = found / made if found else 1.0
            size = min(int(1.2 * (rows - found) / share) + 1, SHARD) if made else rows
            kept.append(self.drawing.draw(size, admitted, rng))
            found, made = found + len(kept[-1]), made + size
            if found >= rows:
                return np.concatenate(kept)[:rows]
            if made > MOST * max(rows, TRIAL):
                break
        raise ConditionError(
            f"only {found:,} of {made:,} rows met all conditions together, and {rows:,} were asked "
            "for. Ask for fewer rows, or widen the conditions."
        )
