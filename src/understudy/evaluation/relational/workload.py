"""A random workload of SQL over the joined database: do its answers come out as on real data?

Counts, sums and averages with one or two predicates, along up to two foreign keys, some grouped.
Drawn from the schema and the reference sample with a seed. Counts and sums are divided by the rows
of the table asked, so that sizes may differ. A query's error is the sum of differences over its
groups, relative to the real answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.contracts import Measurement
from understudy.data.dataset import Dataset
from understudy.encoding.metric import is_numeric
from understudy.evaluation.relational.comparing import HOLDOUT, Draws
from understudy.evaluation.relational.database import Database, only
from understudy.evaluation.statistics import Floats
from understudy.schema import Column

QUERIES = 60
DRAWS = 200
TOP_LEVELS = 5
FEWEST_LEVELS, MOST_LEVELS = 2, 30


@dataclass(frozen=True)
class Query:
    """One query: `sql` gives (group, rows, answer) and takes `values` for its question marks."""

    table: str
    answer: str
    sql: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        text = self.sql
        for value in self.values:
            text = text.replace("?", repr(value) if isinstance(value, str) else str(value), 1)
        return text


def workload(
    base: Database, draws: Draws, rng: np.random.Generator
) -> tuple[list[Measurement], list[dict[str, Any]]]:
    """Median and 90 % point of the errors on the synthetic database against the holdout, at equal
    sizes; floor: train in its place. And the queries, the worst first.
    """
    queries = list(drawn(base, rng))
    answers = {
        role: _answers(_even(base, draws, role), queries)
        for role in ("holdout", "synthetic", "train")
    }
    errors, floors = (
        np.array(
            [error(q, a, b) for q, a, b in zip(queries, answers["holdout"], made, strict=True)]
        )
        for made in (answers["synthetic"], answers["train"])
    )
    known = np.isfinite(errors) & np.isfinite(floors)
    if not known.any():
        return [], []
    cards = [
        {"sql": str(queries[i]), "error": float(errors[i]), "floor": float(floors[i])}
        for i in np.argsort(-np.where(known, errors - floors, -np.inf), kind="stable")
        if known[i]
    ]
    picked = rng.integers(known.sum(), size=(DRAWS, int(known.sum())))
    found = [
        _measured(name, share, errors[known], floors[known], picked)
        for name, share in (("workload_median", 0.5), ("workload_90", 0.9))
    ]
    return found, cards


def _measured(
    name: str, share: float, errors: Floats, floors: Floats, picked: np.ndarray
) -> Measurement:
    low, high = np.quantile(np.quantile(errors[picked], share, axis=1), [0.025, 0.975])
    floor_low, floor_high = np.quantile(np.quantile(floors[picked], share, axis=1), [0.025, 0.975])
    return Measurement(
        f"{name}{HOLDOUT}",
        float(np.quantile(errors, share)),
        float(low),
        float(high),
        float(np.quantile(floors, share)),
        len(errors),
        f"relative error that {share:.0%} of random SQL queries stay within, against held-out "
        "entities at equal sizes; the interval is over queries",
        "lower",
        float(floor_low),
        float(floor_high),
    )


def _even(base: Database, draws: Draws, role: str) -> Dataset:
    return only(base.data[role], base.entity[role], draws.even[role][0, :-1] > 0)[0]


def drawn(base: Database, rng: np.random.Generator, count: int = QUERIES) -> Iterator[Query]:
    """Random queries over owned tables that have rows in the reference."""
    tables = [name for name in base.owned if base.rows("reference", name)]
    for _ in range(count if tables else 0):
        yield _query(base, tables[rng.integers(len(tables))], rng)


def _query(base: Database, table: str, rng: np.random.Generator) -> Query:
    """A random walk up the keys, then predicates, group and answer from the tables met."""
    scope, joins = [(table, "t0")], []
    for hop in range(rng.integers(0, 3)):
        links = base.links_of(scope[-1][0])
        if not links:
            break
        link = links[rng.integers(len(links))]
        below, above = scope[-1][1], f"t{hop + 1}"
        pairs = zip(link.key.columns, link.key.references, strict=True)
        on = " AND ".join(f"{below}.{_q(c)} = {above}.{_q(r)}" for c, r in pairs)
        joins.append(f" JOIN {_q(link.parent)} {above} ON {on}")
        scope.append((link.parent, above))
    columns = [
        (alias, column, base.data["reference"].tables[name][column.name])
        for name, alias in scope
        for column in base.table(name).columns
        if column.kind in ("number", "category", "boolean", "datetime")
    ]
    rng.shuffle(columns)  # type: ignore[arg-type]
    where, values = _predicates(columns, rng)
    group = _group(columns, rng)
    numbers = [f"{a}.{_q(c.name)}" for a, c, v in columns if _summable(c, v)]
    answer = ("COUNT", "SUM", "AVG")[rng.integers(3)] if numbers else "COUNT"
    what = "COUNT(*)" if answer == "COUNT" else f"{answer}({numbers[0]})"
    sql = f"SELECT {group or 'NULL'}, COUNT(*), {what} FROM {_q(table)} t0{''.join(joins)}"
    sql += f" WHERE {' AND '.join(where)}" if where else ""
    sql += f" GROUP BY {group}" if group else ""
    return Query(table, answer, sql, tuple(values))


Columns = Sequence[tuple[str, Column, pa.ChunkedArray]]


def _predicates(columns: Columns, rng: np.random.Generator) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for alias, column, cells in columns:
        present = cells.drop_null()
        if len(where) == 2 or not len(present):
            continue
        name = f"{alias}.{_q(column.name)}"
        if is_numeric(column.kind, cells.type):
            ordered = present.take(pc.sort_indices(present))
            place = int(rng.uniform(0.2, 0.8) * (len(ordered) - 1))
            where.append(f"{name} {'<=' if rng.random() < 0.5 else '>'} ?")
            values.append(ordered[place].as_py())
        else:
            tally = pc.value_counts(present.combine_chunks())
            order = np.argsort(-tally.field("counts").to_numpy(), kind="stable")[:TOP_LEVELS]
            where.append(f"{name} = ?")
            values.append(tally.field("values")[int(rng.choice(order))].as_py())
        if rng.random() < 0.5:
            break
    return where, values


def _group(columns: Columns, rng: np.random.Generator) -> str | None:
    """A column of few levels, half of the time."""
    few = [
        f"{alias}.{_q(column.name)}"
        for alias, column, cells in columns
        if column.kind in ("category", "boolean")
        and FEWEST_LEVELS <= pc.count_distinct(cells).as_py() <= MOST_LEVELS
    ]
    return few[-1] if few and rng.random() < 0.5 else None


def _summable(column: Column, cells: pa.ChunkedArray) -> bool:
    return column.kind == "number" and is_numeric(column.kind, cells.type)


Answer = Mapping[Any, tuple[float, float]]


def _answers(data: Dataset, queries: Sequence[Query]) -> list[Answer]:
    """Of each query: group -> (rows, answer), rows and sums as shares of the table's rows."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        for name, table in data.tables.items():
            connection.register(name, table)
        return [_answer(connection, data, query) for query in queries]


def _answer(connection: Any, data: Dataset, query: Query) -> Answer:
    size = max(1, data.tables[query.table].num_rows)
    found = {}
    for group, rows, value in connection.execute(query.sql, list(query.values)).fetchall():
        number = float(value) if value is not None else 0.0
        found[group] = (rows / size, number if query.answer == "AVG" else number / size)
    return found


def error(query: Query, real: Answer, made: Answer) -> float:
    """Differences over all groups relative to the real answer; averages weigh as many rows as they
    have in reality. NaN where reality has none.
    """
    nothing = (0.0, 0.0)
    difference = size = 0.0
    for group in real.keys() | made.keys():
        (rows, truth), (_, ours) = real.get(group, nothing), made.get(group, nothing)
        weight = rows if query.answer == "AVG" else 1.0
        difference += weight * abs(ours - truth)
        size += weight * abs(truth)
    return difference / size if size else float("nan")


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
