"""A fitted marginal engine: draws rows, under conditions and with shares as asked.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. Fitted under a budget, everything in the model is
post-processing of paid answers and may leave with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.discrete import Axis, Codes, Floats, LabelAxis
from understudy.errors import ConditionError
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.schema import Schema, Table
from understudy.schema.conditions import parse_where
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.assembly import Assembly, Domains
from understudy.synthesizers.tabular.marginals.network import Network

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.marginals.engine import MarginalSynthesizer

SHARD = 65_536
LEAST = 1e-7
"""Conditions less probable than this are refused: the tables know nothing of so few rows."""


@dataclass(frozen=True)
class MarginalModel:
    """See the module's docstring. `rows` is the noisy number of rows; `identifiers` holds the real
    ones in a model without a budget, which must not make them again, and is None otherwise."""

    config: MarginalSynthesizer
    schema: Schema
    types: pa.Schema
    rows: int
    space: Reparametrisation
    model_spec: Table
    model_types: pa.Schema
    axes: Mapping[str, Axis]
    network: Network
    private: bool
    identifiers: pa.Table | None
    to_frame: Callable[[Dataset], Any] | None = None

    engine = "marginals"

    @property
    def holds_training_values(self) -> bool:
        return not self.private

    def sample(
        self,
        n: int,
        *,
        where: str | None = None,
        balance: Shares | None = None,
        seed: int | None = None,
        workers: int = 1,
    ) -> Any:
        """`n` rows as a `Dataset`, or as the kind of frame that `fit` was given.

        Every row satisfies `where` and the schema's constraints. With `balance` the named column
        has exactly the shares asked for and a column `weight` is added that undoes it. Raises
        `ConditionError` when the model cannot meet the request.
        """
        from understudy.synthesizers.tabular.marginals.shares import sample_balanced

        if n < 1:
            raise ConditionError(f"asked for {n} rows; ask for at least 1.")
        seed = self.config.seed if seed is None else seed
        domains = parse_where(where, self.schema.table()) if where else {}
        if balance:
            dataset = sample_balanced(self, n, balance, domains, seed, workers)
        else:
            network, _ = self.conditioned(domains)
            table = self.finish(
                lambda rows, name: self.draw(network, rows, seed, workers, name), n, domains, seed
            )
            dataset = Dataset(self.schema, {self.schema.table().name: table})
        return dataset if self.to_frame is None else self.to_frame(dataset)

    @property
    def assembly(self) -> Assembly:
        """The way from what is drawn to rows of the source."""
        return Assembly(
            self.schema,
            self.types,
            self.space,
            self.model_spec,
            self.model_types,
            self.identifiers,
        )

    def conditioned(
        self, domains: Domains, also: Mapping[str, Floats] | None = None
    ) -> tuple[Network, float]:
        """The distribution under conditions, and their probability; raises when they are
        impossible. `also` admits codes besides."""
        admitted = dict(also or {})
        for name, domain in self.direct(domains).items():
            if name not in self.axes:
                raise ConditionError(
                    f"column {name!r} is {self.schema.table().column(name).kind}: it is made anew "
                    "and cannot be asked for in `where`."
                )
            share = self.axes[name].admitted(domain)
            if not (share * (self.network.shares_of(name) > 0)).any():
                raise ConditionError(
                    f"the model knows no value of column {name!r} with {domain.describe(name)}. "
                    f"{self._span(name)}"
                )
            admitted[name] = share * admitted.get(name, 1.0)
        network, probability = self.network.given(admitted)
        if probability < LEAST:
            what = " AND ".join(domain.describe(name) for name, domain in domains.items())
            raise ConditionError(
                f"the model gives {what or 'what is asked'} a probability below 1 in "
                f"{1 / LEAST:,.0f}: it has seen nothing of the kind. Please widen the condition."
            )
        return network, probability

    def direct(self, domains: Domains) -> dict[str, Domain]:
        """The conditions on columns that are drawn; the others select among finished rows."""
        return self.assembly.direct(domains)

    def draw(
        self, network: Network, rows: int, seed: int, workers: int, name: str
    ) -> list[dict[str, Codes]]:
        """Codes for `rows` rows, shard by shard."""
        sizes = [min(SHARD, rows - first) for first in range(0, rows, SHARD)]
        calls = [(network, size, seed, f"{name}/{number}") for number, size in enumerate(sizes)]
        return run_all(_shard, calls, workers=workers, threads=True)

    def finish(
        self,
        draw: Callable[[int, str], list[dict[str, Codes]]],
        n: int,
        domains: Domains,
        seed: int,
    ) -> pa.Table:
        """`n` finished rows of what `draw` gives; see `Assembly.finish`."""
        direct = self.direct(domains)

        def drawn(rows: int, attempt: int) -> pa.Table:
            return self.to_table(draw(rows, f"draw {attempt}"), direct, seed, attempt)

        return self.assembly.finish(drawn, n, domains, seed)

    def to_table(
        self, shards: list[dict[str, Codes]], direct: Domains, seed: int, attempt: int
    ) -> pa.Table:
        """Codes to rows of the learnt table."""
        parts = []
        for number, codes in enumerate(shards):
            rng = stream(seed, "values", attempt, number)
            arrays = {
                c.name: self.axes[c.name].decode(codes[c.name], rng, direct.get(c.name))
                for c in self.model_spec.columns
                if c.name in self.axes
            }
            parts.append(pa.table(arrays))
        return pa.concat_tables(parts)

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `files`."""
        from understudy.synthesizers.tabular.marginals.files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> MarginalModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.tabular.marginals.files import load

        return load(path)

    def _span(self, name: str) -> str:
        axis = self.axes[name]
        if isinstance(axis, LabelAxis):
            shown = ", ".join(repr(v) for v in axis.values.slice(0, 12).to_pylist())
            return f"Known: {shown}{', ...' if len(axis.values) > 12 else ''}."
        if len(axis.starts) == 0:
            return "The column has no known values."
        ends = axis.ends()
        return f"It goes from {ends[0]} to {ends[1]}."


def _shard(network: Network, rows: int, seed: int, name: str) -> dict[str, Codes]:
    return network.draw(rows, stream(seed, "shard", name))
