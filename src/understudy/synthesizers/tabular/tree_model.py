"""A fitted tree engine: draws rows, under conditions and with shares as asked.

Rows are drawn in shards whose random streams depend on the seed and the shard number only, so the
result is the same for any number of workers. The model holds training values (leaf donors): its
folder is internal and no bundle takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding import identifiers
from understudy.encoding.columns import Codec, Codes, Levels, Ranks, from_numbers
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import join_points
from understudy.errors import ConditionError, ConstraintError, suggest
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.schema import Schema, Table
from understudy.schema.conditions import parse_where
from understudy.schema.domains import Domain
from understudy.synthesizers.tabular.boosted import ClassHead, Head
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.leaves import Allowed, Way
from understudy.synthesizers.tabular.particles import PILOT, resample, shards

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.tree import TreeSynthesizer

TRIES = 20


@dataclass(frozen=True)
class Request:
    """What every row of one draw must satisfy, and how the target is to be redrawn.

    `allowed` admits codes per column, `domains` the values that jitter may reach; `first` fixes the
    codes of the first column; `shift` multiplies the target's odds, `redraw` is off when its value
    is given.
    """

    allowed: Mapping[str, Allowed]
    domains: Mapping[str, Domain]
    first: Codes | None = None
    shift: np.ndarray[Any, np.dtype[np.float64]] | None = None
    redraw: bool = True


@dataclass(frozen=True)
class Drawn:
    """Codes per model column, and the values of columns that jitter moved."""

    codes: dict[str, Codes]
    values: dict[str, np.ndarray[Any, Any]]

    def take(self, picked: np.ndarray[Any, np.dtype[np.intp]]) -> Drawn:
        return Drawn(
            {name: c[picked] for name, c in self.codes.items()},
            {name: v[picked] for name, v in self.values.items()},
        )

    @classmethod
    def concat(cls, parts: list[Drawn]) -> Drawn:
        """All rows of `parts`, which are emptied column by column to hold each cell once."""
        names, moved = list(parts[0].codes), list(parts[0].values)
        return cls(
            {name: np.concatenate([p.codes.pop(name) for p in parts]) for name in names},
            {name: np.concatenate([p.values.pop(name) for p in parts]) for name in moved},
        )


@dataclass(frozen=True)
class TreeModel:
    """See the module's docstring. `ways` are in drawing order."""

    config: TreeSynthesizer
    schema: Schema
    types: pa.Schema
    rows: int
    space: Reparametrisation
    model_spec: Table
    model_types: pa.Schema
    codecs: dict[str, Codec]
    positions: dict[str, Floats]
    ways: dict[str, Way]
    head: Head | None
    identifiers: pa.Table
    to_frame: Callable[[Dataset], Any] | None = None

    engine = "tree"
    holds_training_values = True

    @property
    def order(self) -> list[str]:
        return list(self.ways)

    @property
    def reach(self) -> int:
        return self.config.reach or max(6, self.rows // 500)

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
        from understudy.synthesizers.tabular.balance import sample_balanced

        if n < 1:
            raise ConditionError(f"asked for {n} rows; ask for at least 1.")
        seed = self.config.seed if seed is None else seed
        domains = parse_where(where, self.schema.table()) if where else {}
        if balance:
            dataset = sample_balanced(self, n, balance, domains, seed, workers)
        else:
            table = self.finish(
                lambda rows, name: self.draw(rows, self.request(domains), seed, workers, name),
                n,
                domains,
                seed,
            )
            dataset = Dataset(self.schema, {self.schema.table().name: table})
        return dataset if self.to_frame is None else self.to_frame(dataset)

    def request(self, domains: Mapping[str, Domain]) -> Request:
        """Translates conditions into admitted codes; raises when a column never takes them."""
        direct, _ = self.space.translate(dict(domains))
        allowed = {}
        for name, domain in direct.items():
            if name not in self.codecs:
                raise ConditionError(
                    f"column {name!r} is {self.schema.table().column(name).kind}: it is made anew "
                    "and cannot be asked for in `where`."
                )
            allowed[name] = self._admitted(name, domain)
        return Request(allowed, direct, redraw=True)

    def draw(self, rows: int, request: Request, seed: int, workers: int, name: str) -> Drawn:
        """`rows` rows under `request`, in shards on `workers` workers."""
        oversample = 1.0
        if request.allowed:
            oversample = 4.0 / max(self.mass(request, seed), 1e-9)
        calls = []
        first = 0
        for i, (size, particles) in enumerate(shards(rows, oversample)):
            fixed = None if request.first is None else request.first[first : first + size]
            calls.append((size, particles, request, seed, f"{name}/{i}", fixed))
            first += size
        return Drawn.concat(run_all(self._shard, calls, workers=workers, threads=True))

    def mass(self, request: Request, seed: int) -> float:
        """The model's probability of the condition, estimated on particles."""
        for size in (PILOT, 32 * PILOT):
            found = self._particles(size, size, request, stream(seed, "pilot", size), None)
            if found is not None:
                return found[1]
        raise _impossible(request, 32 * PILOT)

    def finish(
        self, draw: Callable[[int, str], Drawn], n: int, domains: Mapping[str, Domain], seed: int
    ) -> pa.Table:
        """Draws until `n` rows satisfy what could not be built in, then adds identifiers.

        Built in is all but conditions on derived columns and unique keys; the work spent on those
        is bounded.
        """
        _, residual = self.space.translate(dict(domains))
        kept: list[pa.Table] = []
        missing, made = n, 0
        for attempt in range(TRIES):
            batch = missing if not residual else max(2 * missing, 1000) * (attempt + 1)
            table = self.to_table(draw(batch, f"draw {attempt}"), seed, attempt)
            made += table.num_rows
            table = _satisfying(table, residual)
            kept.append(table)
            joined = pa.concat_tables(kept)
            repeats = self.space.duplicates(joined)
            joined = joined.filter(pa.array(~repeats)) if repeats.any() else joined
            if joined.num_rows >= n:
                return self._with_identifiers(joined.slice(0, n), seed)
            kept, missing = [joined], n - joined.num_rows
        found = n - missing
        if residual and found == 0:
            what = " AND ".join(domain.describe(name) for name, domain in residual.items())
            raise ConditionError(
                f"none of {made:,} rows satisfied {what}. The model gives it a probability below "
                f"about 1 in {made:,}; widen the condition."
            )
        raise ConstraintError(
            f"only {found:,} of {n:,} rows could be made without breaking a condition or a unique "
            "key. Ask for fewer rows, or relax it."
        )

    def to_table(self, drawn: Drawn, seed: int, attempt: int) -> pa.Table:
        """Model codes to a table with the source's columns, except identifiers (left null)."""
        arrays = []
        rows = len(next(iter(drawn.codes.values())))
        for column in self.model_spec.columns:
            type = self.model_types.field(column.name).type
            if column.name not in self.codecs:
                arrays.append(pa.nulls(rows, type))
                continue
            codec, codes = self.codecs[column.name], drawn.codes[column.name]
            if isinstance(codec, Levels):
                arrays.append(codec.decode(codes, type))
            else:
                arrays.append(from_numbers(drawn.values[column.name], codes < 0, type))
        table = pa.table(arrays, schema=self.model_types)
        joined = join_points(table, self.space.spec, self.types)
        return self.space.backward(joined)

    def scores(self, dataset: Dataset) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
        """How well the model knows each row, in two ways; see `inspection`."""
        from understudy.synthesizers.tabular.inspection import scores

        return scores(self, dataset.table)

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `tree_files`."""
        from understudy.synthesizers.tabular.tree_files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> TreeModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.tabular.tree_files import load

        return load(path)

    def _admitted(self, name: str, domain: Domain) -> Allowed:
        codec = self.codecs[name]
        type = self.model_types.field(name).type
        size = codec.size
        codes = np.arange(-1, size, dtype=np.int32)
        values = codec.decode(codes, type)
        admitted = domain.mask(values)
        allowed = np.roll(admitted, -1)
        present = codec.counts > 0
        missing = self.rows > int(codec.counts.sum())
        if not (allowed[:-1] & present).any() and not (allowed[-1] and missing):
            raise ConditionError(
                f"no training row satisfies {domain.describe(name)}: the model cannot make one. "
                f"{_span(codec, type, domain)}"
            )
        return allowed

    def _shard(
        self, rows: int, particles: int, request: Request, seed: int, name: str, first: Codes | None
    ) -> Drawn:
        for attempt in range(3):
            rng = stream(seed, "shard", name, attempt)
            found = self._particles(rows, particles, request, rng, first)
            if found is not None:
                return self._redraw_target(found[0], request, rng)
        raise _impossible(request, 3 * particles)

    def _particles(
        self,
        rows: int,
        particles: int,
        request: Request,
        rng: np.random.Generator,
        first: Codes | None,
    ) -> tuple[Drawn, float] | None:
        """Rows and the estimated probability of the condition; None when no particle survives."""
        order = self.order
        conditioned = [j for j, name in enumerate(order) if name in request.allowed]
        last = conditioned[-1] if conditioned else -1
        size = particles if conditioned else rows
        x = np.empty((size, len(order)), dtype=np.float32)
        drawn = Drawn({}, {})
        mass = 1.0
        for j, name in enumerate(order):
            allowed = request.allowed.get(name)
            if j == 0 and first is not None:
                codes, weight = np.resize(first, size), None
            else:
                codes, weight = self.ways[name].draw(x[:, :j], drawn.codes, rng, allowed)
            codes = self._move(name, codes, drawn, request, rng)
            x[:, j] = self.positions[name][codes]
            if weight is None:
                continue
            mass *= float(weight.mean())
            if mass == 0.0:
                return None
            size = rows if j == last else size
            picked = resample(weight, size, rng)
            x, drawn = x[picked], drawn.take(picked)
        return drawn, mass

    def _move(
        self, name: str, codes: Codes, drawn: Drawn, request: Request, rng: np.random.Generator
    ) -> Codes:
        codec = self.codecs[name]
        if isinstance(codec, Ranks):
            values, moved = codec.jitter(codes, self.reach, rng)
            if name in request.domains:
                type = self.model_types.field(name).type
                out = ~request.domains[name].mask(from_numbers(values, codes < 0, type))
                values = np.where(out, codec.values[np.maximum(codes, 0)], values)
                moved = np.where(out, codes, moved)
            drawn.values[name] = values
            codes = moved
        drawn.codes[name] = codes
        return codes

    def _redraw_target(self, drawn: Drawn, request: Request, rng: np.random.Generator) -> Drawn:
        if self.head is None or not request.redraw:
            return drawn
        target = self.order[0]
        allowed = request.allowed.get(target)
        others = self.order[1:]
        rows = len(drawn.codes[target])
        x = np.empty((rows, len(others)), dtype=np.float32)
        for j, name in enumerate(others):
            x[:, j] = self.positions[name][drawn.codes[name]]
        if isinstance(self.head, ClassHead):
            codes = self.head.draw(x, rng, allowed=allowed, shift=request.shift)
        elif allowed is None:
            codes = self.head.draw(x, rng)
        else:
            return drawn
        self._move(target, codes, drawn, request, rng)
        return drawn

    def _with_identifiers(self, table: pa.Table, seed: int) -> pa.Table:
        for name in self.identifiers.column_names:
            column = self.schema.table().column(name)
            made = identifiers.make(
                column, self.identifiers[name], table.num_rows, stream(seed, "identifier", name)
            )
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(name), made)
        return table


def _satisfying(table: pa.Table, domains: Mapping[str, Domain]) -> pa.Table:
    for name, domain in domains.items():
        table = table.filter(pa.array(domain.mask(table[name])))
    return table


def _impossible(request: Request, tried: int) -> ConditionError:
    what = " AND ".join(domain.describe(name) for name, domain in request.domains.items())
    return ConditionError(
        f"none of {tried:,} simulated rows satisfied {what} together. The model gives the "
        f"combination a probability below about 1 in {tried:,}; widen the condition."
    )


def _span(codec: Codec, type: pa.DataType, domain: Domain) -> str:
    if codec.size == 0:
        return "The column has no values."
    if isinstance(codec, Ranks) or not pa.types.is_string(type):
        ends = codec.decode(np.array([0, codec.size - 1], dtype=np.int32), type)
        return f"It goes from {ends[0]} to {ends[1]}."
    levels = codec.decode(np.arange(codec.size, dtype=np.int32), type).to_pylist()
    asked = sorted(domain.allowed or [""], key=str)
    return suggest(str(asked[0]), levels)
