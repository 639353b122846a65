"""Trees or the any-order network for the rows of a database: each table by itself, berka's six.

    python -m benchmarks relational_nets
    python -m benchmarks.relational_nets SEEDS [TABLE ...]

The relational engine draws each table from p(columns | context); here that is learnt by trees, as
it is, or for one table by the autoregressive network, fitted on the context and the columns as one
table and filled in where the columns are missing. The rest of the database stays with the trees
and transactions are left out, so that all that differs is that table. Judged as a database
(`evaluate_database`): the C2ST of joined rows of orders, loans and cards, of entities, and errors
of associations with the context, as means and standard deviations over splits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.berka import berka
from benchmarks.measure import table as print_table
from benchmarks.tables import FOLDER
from understudy.data import Dataset
from understudy.data.splitting import split
from understudy.encoding.columns import from_numbers
from understudy.evaluation import evaluate_database
from understudy.schema import Boolean, Category, Column, Datetime, Number, Schema, Table
from understudy.synthesizers.relational import tables as relational_tables
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.tabular.autoregressive import (
    AutoregressiveModel,
    AutoregressiveSynthesizer,
)
from understudy.synthesizers.tabular.conditional import ABSENT

TABLES = ("account", "disp", "card", "loan", "order")
SEEDS = 3
MEASURES = (
    "c2st_rows_order",
    "c2st_rows_loan",
    "c2st_rows_card",
    "c2st",
    "parent_child",
    "two_hop",
)
Floats = NDArray[np.float32]
Figures = dict[str, float]


def run(seeds: int = SEEDS, names: Sequence[str] = TABLES) -> None:
    """One row a variant."""
    found: dict[str, list[Figures]] = {"real": []}
    for seed in range(seeds):
        parts = split(without(berka(FOLDER / "berka"), "trans"), seed=seed)
        for name in ("trees", *names):
            got, floor = measured(parts, name, seed)
            found.setdefault(name, []).append(got)
            if name == "trees":
                found["real"].append(floor)
            print(f"seed {seed}, {name}: {got}", file=sys.stderr, flush=True)
    columns = list(found["trees"][0])
    rows = [
        [variant, *(_spread([one.get(c, np.nan) for one in each]) for c in columns)]
        for variant, each in found.items()
    ]
    print_table("berka, one table by the network", ["network for", *columns], rows)


def measured(parts: Any, name: str, seed: int) -> tuple[Figures, Figures]:
    """Figures of a database whose table `name` a network draws, and those of real entities."""
    started = time.process_time()
    with networks_for({name}, seed):
        model = RelationalSynthesizer(seed=seed).fit(parts.train)
    fitted = time.process_time() - started
    made = model.sample(model.rows, seed=seed + 1)
    card = evaluate_database(parts.train, parts.holdout, parts.reference, made, seed=seed)
    got = {n: card.measurements[n].value for n in MEASURES if n in card.measurements}
    floor = {n: card.measurements[n].floor or 0.0 for n in got}
    for one in card.tables:
        if one["name"] in TABLES and "pair_error" in one["measurements"]:
            error = one["measurements"]["pair_error"]
            got[f"pairs {one['name']}"] = error["value"]
            floor[f"pairs {one['name']}"] = error["floor"]
    return got | {"fit, CPU s": fitted}, floor


def without(data: Dataset, name: str) -> Dataset:
    """The database but for one table that nothing points at."""
    specs = tuple(spec for spec in data.schema.tables if spec.name != name)
    kept = {n: t for n, t in data.tables.items() if n != name}
    return Dataset(data.schema.model_copy(update={"tables": specs}), kept)


@contextmanager
def networks_for(names: set[str], seed: int) -> Iterator[None]:
    """Within this, the relational engine learns the tables `names` with networks."""
    trees = relational_tables.fit_conditional

    def fit(x: Floats, table: pa.Table, *, name: str, **given: Any) -> Any:
        if name.removeprefix("table ") not in names:
            return trees(x, table, name=name, **given)
        return Filled.fit(x, table, given["order"], seed)

    relational_tables.fit_conditional = fit
    try:
        yield
    finally:
        relational_tables.fit_conditional = trees


@dataclass(frozen=True)
class Filled:
    """p(columns | given) by a network that knows any column given any others."""

    model: AutoregressiveModel
    given: tuple[str, ...]
    types: pa.Schema

    @classmethod
    def fit(cls, x: Floats, table: pa.Table, order: Sequence[str], seed: int) -> Filled:
        """Context and columns as one table; columns of structure come first after the context."""
        context = _context(x)
        whole = context
        for name in (*order, *(n for n in table.column_names if n not in order)):
            whole = whole.append_column(name, table[name])
        spec = Table(name="whole", columns=tuple(_column(f) for f in whole.schema))
        data = Dataset(Schema(tables=(spec,)), {"whole": whole})
        model = AutoregressiveSynthesizer(seed=seed).fit(data)
        return cls(model, tuple(context.column_names), table.schema)

    def draw(self, x: Floats, rng: np.random.Generator) -> pa.Table:
        """Rows given the context `x`."""
        drawing = self.model.drawing
        context = _context(x)
        codes = np.zeros((len(x), drawing.tokens), np.int64)
        known = np.zeros(codes.shape, bool)
        for name in self.given:
            coded = drawing.codings[name].encode(context[name])
            for token, one in zip(drawing.places[name], coded, strict=True):
                codes[:, token], known[:, token] = one, True
        codes = drawing.fill(codes, known, {}, rng)
        return pa.table(
            {
                field.name: drawing.codings[field.name]
                .decode([codes[:, token] for token in drawing.places[field.name]], rng)
                .cast(field.type)
                for field in self.types
            }
        )

    def table(self, rows: pa.Table) -> pa.Table:
        """What `draw` drew."""
        return rows


def _context(x: Floats) -> pa.Table:
    columns = {}
    for j in range(x.shape[1]):
        gone = x[:, j] == ABSENT
        if not gone.all():
            columns[f"given {j}"] = from_numbers(np.where(gone, 0.0, x[:, j]), gone, pa.float64())
        else:
            columns[f"given {j}"] = pa.array(np.full(len(x), None, object), pa.float64())
    return pa.table(columns)


def _column(field: pa.Field) -> Column:
    if pa.types.is_boolean(field.type):
        return Boolean(name=field.name)
    if pa.types.is_temporal(field.type):
        return Datetime(name=field.name)
    if pa.types.is_string(field.type):
        return Category(name=field.name)
    return Number(name=field.name, integer=pa.types.is_integer(field.type))


def _spread(values: Sequence[float]) -> str:
    if np.isnan(values).all():
        return ""
    return (
        f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
        if len(values) > 1
        else (f"{values[0]:.3f}")
    )


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2:] or TABLES)
