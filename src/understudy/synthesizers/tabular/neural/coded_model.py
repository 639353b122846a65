"""What every model is that draws rows of codes under conditions, whatever network is behind it.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. Fitted under a budget, everything in the model is
post-processing of paid answers and may leave with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.errors import ConditionError
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.schema.conditions import parse_where
from understudy.synthesizers.tabular.assembly import Assembly, Domains
from understudy.synthesizers.tabular.neural.picking import Admitted
from understudy.synthesizers.tabular.neural.spans import span
from understudy.synthesizers.tabular.neural.tokens import Codings, Tokens

SHARD = 16_384
PILOT = 4_096
MORE = 4
"""Particles a row where several conditions must be met together."""
LEAST = 0.1
"""Conditions that fewer rows than this of a table like the one learnt from meet are refused: what
a network says of what it never saw is made up."""


class Draws(Protocol):
    """A network that rows of codes are drawn from."""

    @property
    def codings(self) -> Codings: ...

    @property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """The tokens of each column."""

    def draw(
        self, rows: int, admitted: Admitted, rng: np.random.Generator, particles: int
    ) -> tuple[Tokens, float] | None:
        """int64 [rows, tokens] and the probability of what is admitted; None where no particle
        meets it."""


class CodedModel:
    """See the module's docstring. `rows` is how many were learnt from, counted or bought;
    `to_frame` makes the kind of frame that `fit` was given."""

    config: Any
    rows: int
    assembly: Assembly
    drawing: Draws
    private: bool
    to_frame: Callable[[Dataset], Any] | None

    @property
    def schema(self) -> Any:
        return self.assembly.schema

    @property
    def codings(self) -> Codings:
        return self.drawing.codings

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
        from understudy.synthesizers.tabular.neural.shares import sample_balanced

        if n < 1:
            raise ConditionError(f"asked for {n} rows; ask for at least 1.")
        seed = self.config.seed if seed is None else seed
        spec = self.schema.table()
        domains = parse_where(where, spec) if where else {}
        if balance:
            dataset = sample_balanced(self, n, balance, domains, seed, workers)
        else:
            admitted = self.admitted(domains)
            self.mass(admitted, domains, seed)
            direct = self.assembly.direct(domains)

            def draw(rows: int, attempt: int) -> pa.Table:
                shards = self.draw(admitted, rows, seed, workers, f"draw {attempt}")
                return self.to_table(shards, direct, seed, attempt)

            dataset = Dataset(
                self.schema, {spec.name: self.assembly.finish(draw, n, domains, seed)}
            )
        return dataset if self.to_frame is None else self.to_frame(dataset)

    def admitted(self, domains: Domains, also: Mapping[str, Floats] | None = None) -> Admitted:
        """Conditions as shares of codes; `also` admits groups besides. Raises where a column takes
        no value that meets its condition."""
        found: dict[str, tuple[Floats, Floats]] = {}
        for name, domain in self.assembly.direct(domains).items():
            if name not in self.drawing.codings:
                raise ConditionError(
                    f"column {name!r} is {self.schema.table().column(name).kind}: it is made anew "
                    "and cannot be asked for in `where`."
                )
            coding = self.drawing.codings[name]
            groups, members = coding.admitted(domain)
            if not (groups * (coding.margin > 0)).any():
                raise ConditionError(
                    f"the model knows no value of column {name!r} with {domain.describe(name)}. "
                    f"{span(coding.axis)}"
                )
            found[name] = ((groups > 0).astype(float) if coding.staged else groups, members)
        for name, groups in (also or {}).items():
            one, members = found.get(name, (np.ones_like(groups), np.ones((len(groups), 1))))
            found[name] = (one * groups, members)
        return found

    def mass(self, admitted: Admitted, domains: Domains, seed: int) -> float:
        """The model's probability of what is admitted; raises where it is next to nothing."""
        if not admitted:
            return 1.0
        found = self.drawing.draw(PILOT, admitted, stream(seed, "pilot"), PILOT)
        mass = 0.0 if found is None else found[1]
        if mass * self.rows < LEAST:
            what = " AND ".join(domain.describe(name) for name, domain in domains.items())
            raise ConditionError(
                f"the model gives {what or 'what is asked'} a probability of about {mass:.1g}; it "
                f"learnt from {self.rows:,} rows and has seen nothing of the kind. Please widen "
                "the condition."
            )
        return mass

    def draw(
        self, admitted: Admitted, rows: int, seed: int, workers: int, name: str
    ) -> list[Tokens]:
        """Codes for `rows` rows, shard by shard."""
        sizes = [min(SHARD, rows - first) for first in range(0, rows, SHARD)]
        calls = [(size, admitted, seed, f"{name}/{i}") for i, size in enumerate(sizes)]
        return run_all(self._shard, calls, workers=workers, threads=True)

    def to_table(
        self, shards: Sequence[Tokens], domains: Domains, seed: int, attempt: int
    ) -> pa.Table:
        """Codes to rows of the learnt table."""
        parts = []
        for number, codes in enumerate(shards):
            rng = stream(seed, "values", attempt, number)
            arrays = {
                name: self.drawing.codings[name].decode(
                    [codes[:, token] for token in tokens], rng, domains.get(name)
                )
                for name, tokens in self.drawing.places.items()
            }
            parts.append(pa.table(arrays))
        return pa.concat_tables(parts)

    def _shard(self, rows: int, admitted: Admitted, seed: int, name: str) -> Tokens:
        rng = stream(seed, "shard", name)
        found = self.drawing.draw(rows, admitted, rng, max(MORE * rows, PILOT))
        if found is None:  # `mass` has seen otherwise
            raise ConditionError("no row met the conditions together. Please widen them.")
        return found[0]
