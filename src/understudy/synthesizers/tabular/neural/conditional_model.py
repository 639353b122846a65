"""What every fitted network shares: rows under conditions, balance, what may leave.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. Fitted under a budget, everything in the model is
post-processing of paid answers and may leave with the data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.errors import ConditionError
from understudy.privacy.audit import Audit
from understudy.schema.conditions import parse_where
from understudy.synthesizers.tabular.assembly import Assembly, Domains
from understudy.synthesizers.tabular.neural.coding import Coding

LEAST = 0.1
"""Conditions that fewer rows than this of a table like the one learnt from meet are refused: what
a network says of what it never saw is made up."""


class ConditionalModel(ABC):
    """A model that draws rows among codes that are admitted; of what sort those are is its own.

    `rows` is how many were learnt from, counted or bought; `to_frame` makes the kind of frame that
    `fit` was given; `audit` is what canaries in the training proved, known to whoever has just
    fitted.
    """

    config: Any
    rows: int
    assembly: Assembly
    private: bool
    to_frame: Callable[[Dataset], Any] | None
    audit: Audit | None

    @property
    def schema(self) -> Any:
        return self.assembly.schema

    @property
    @abstractmethod
    def codings(self) -> Mapping[str, Coding]:
        """Of every learnt column."""

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

    def mass(self, admitted: Any, domains: Domains, seed: int) -> float:
        """The model's probability of what is admitted; raises where it is next to nothing."""
        if not admitted:
            return 1.0
        mass = self.chance(admitted, seed)
        if mass * self.rows < LEAST:
            what = " AND ".join(domain.describe(name) for name, domain in domains.items())
            raise ConditionError(
                f"the model gives {what or 'what is asked'} a probability of about {mass:.1g}; it "
                f"learnt from {self.rows:,} rows and has seen nothing of the kind. Please widen "
                "the condition."
            )
        return mass

    @abstractmethod
    def admitted(self, domains: Domains, also: Mapping[str, Floats] | None = None) -> Any:
        """Conditions as shares of codes; `also` admits groups of codings besides. Raises where a
        column takes no value that meets its condition."""

    @abstractmethod
    def chance(self, admitted: Any, seed: int) -> float:
        """The model's probability of what is admitted."""

    @abstractmethod
    def draw(self, admitted: Any, rows: int, seed: int, workers: int, name: str) -> list[Any]:
        """Codes for `rows` rows, shard by shard."""

    @abstractmethod
    def to_table(
        self, shards: Sequence[Any], domains: Domains, seed: int, attempt: int
    ) -> pa.Table:
        """Codes to rows of the learnt table."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
