"""Small made databases, one for each shape of foreign keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.schema import (
    Boolean,
    Category,
    Datetime,
    ForeignKey,
    Identifier,
    Number,
    Schema,
    Table,
    Text,
    Unit,
)

KINDS = {
    "id": Identifier,
    "cat": Category,
    "num": Number,
    "day": Datetime,
    "bool": Boolean,
    "text": Text,
}


def key(columns: str, table: str, references: str = "id") -> ForeignKey:
    """`key("tenant nr", "customer", "tenant nr")`."""
    return ForeignKey(
        columns=tuple(columns.split()), table=table, references=tuple(references.split())
    )


def table(name: str, columns: str, primary: str = "id", *keys: ForeignKey, **more: Any) -> Table:
    """Columns as `name:kind`, with `?` behind the name where cells may be empty."""
    found = []
    for text in columns.split():
        column, kind = text.split(":")
        nullable = column.endswith("?")
        found.append(KINDS[kind](name=column.rstrip("?"), nullable=nullable))
    return Table(
        name=name,
        columns=tuple(found),
        primary_key=tuple(primary.split()),
        foreign_keys=keys,
        **more,
    )


def database(
    specs: tuple[Table, ...], cells: Mapping[str, Mapping[str, Any]], unit: str | None
) -> Dataset:
    """A dataset of these tables; `unit` is a table whose key `id` (or first) is the unit's."""
    tables = {
        spec.name: pa.table({c: cells[spec.name][c] for c in spec.column_names}) for spec in specs
    }
    if unit is None:
        return Dataset(Schema(tables=specs), tables)
    column = next(spec for spec in specs if spec.name == unit).primary_key[0]
    return Dataset(Schema(tables=specs, unit=Unit(of="entity", table=unit, column=column)), tables)


def ids(n: int, start: int = 1000) -> pa.Array:
    return pa.array(np.arange(start, start + n))


def nth(values: pa.Array, places: Any) -> pa.Array:
    """The keys at `places`, empty where negative."""
    places = np.asarray(places)
    return values.take(pa.array(np.maximum(places, 0), mask=places < 0))


def shops(rows: int = 60, seed: int = 0) -> Dataset:
    """Keys of two columns that share the tenant: orders name a customer and a product of one."""
    rng = np.random.default_rng(seed)
    tenant = ids(rows)
    customers = rng.integers(1, 5, rows)
    products = rng.integers(1, 4, rows)
    orders = rng.integers(0, 6, rows)

    def lines(counts: Any) -> tuple[pa.Array, Any]:
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        return nth(tenant, np.repeat(np.arange(rows), counts)), number

    cells: dict[str, Any] = {"tenant": {"id": tenant, "size": rng.integers(1, 9, rows)}}
    for name, counts in (("customer", customers), ("product", products)):
        whose, number = lines(counts)
        cells[name] = {"tenant": whose, "nr": number, "price": rng.random(len(number))}
    whose, number = lines(orders)
    at = np.repeat(np.arange(rows), orders)
    product = 1 + (rng.random(len(at)) * products[at]).astype(int)
    cells["order"] = {
        "tenant": whose,
        "nr": number,
        "customer": 1 + (rng.random(len(at)) * customers[at]).astype(int),
        "product": pa.array(product, mask=rng.random(len(at)) < 0.2),
        "amount": rng.integers(1, 100, len(at)),
    }
    up = key("tenant", "tenant")
    specs = (
        table("tenant", "id:id size:num"),
        table("customer", "tenant:id nr:num price:num", "tenant nr", up),
        table("product", "tenant:id nr:num price:num", "tenant nr", up),
        table(
            "order",
            "tenant:id nr:num customer:id product?:id amount:num",
            "tenant nr",
            up,
            key("tenant customer", "customer", "tenant nr"),
            key("tenant product", "product", "tenant nr"),
        ),
    )
    return database(specs, cells, "tenant")


def company(rows: int = 400, seed: int = 0, *, roots: str = "empty") -> Dataset:
    """A hierarchy four deep, and a circle: a department's head is one of its employees."""
    rng = np.random.default_rng(seed)
    departments = max(2, rows // 20)
    depth = np.sort(rng.choice(4, rows, p=[0.05, 0.15, 0.3, 0.5]))
    depth[0] = 0
    depth = np.minimum(depth, np.concatenate(([0], depth[:-1] + 1)))
    manager = np.array(
        [-1 if d == 0 else rng.choice(np.flatnonzero(depth == d - 1)) for d in depth]
    )
    shuffled = rng.permutation(rows)
    place = np.argsort(shuffled)
    depth, manager = depth[shuffled], manager[shuffled]
    manager = np.where(manager < 0, -1, place[manager])
    if roots == "themselves":
        manager = np.where(manager < 0, np.arange(rows), manager)
    employee, department = ids(rows), ids(departments, 50)
    head = np.where(rng.random(departments) < 0.3, -1, rng.integers(0, rows, departments))
    cells = {
        "department": {
            "id": department,
            "head": nth(employee, head),
            "budget": rng.integers(1, 1000, departments),
        },
        "employee": {
            "id": employee,
            "department": nth(department, rng.integers(0, departments, rows)),
            "manager": nth(employee, manager),
            "pay": 10_000 - 2_000 * depth + rng.integers(0, 500, rows),
        },
    }
    empty = "?" if roots == "empty" else ""
    specs = (
        table("department", "id:id head?:id budget:num", "id", key("head", "employee")),
        table(
            "employee",
            f"id:id department:id manager{empty}:id pay:num",
            "id",
            key("department", "department"),
            key("manager", "employee"),
        ),
    )
    return database(specs, cells, "department")


def school(students: int = 200, courses: int = 30, seed: int = 0, role: str = "owned") -> Dataset:
    """A link table whose key is the pair: nobody takes a course twice."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 30, students)
    hard = rng.integers(0, 3, courses)
    taken = rng.integers(0, 6, students)
    student = np.repeat(np.arange(students), taken)
    chosen = [rng.choice(courses, n, replace=False) for n in taken]
    course = np.concatenate(chosen)
    grade = pa.array(np.where(rng.random(len(course)) < 0.8, hard[course], 3).astype(str))
    cells = {
        "student": {"id": ids(students), "age": age},
        "course": {"id": ids(courses, 10), "level": pa.array(hard.astype(str))},
        "takes": {
            "student": nth(ids(students), student),
            "course": nth(ids(courses, 10), course),
            "grade": grade,
        },
    }
    specs = (
        table("student", "id:id age:num"),
        table("course", "id:id level:cat", role=role),
        table(
            "takes",
            "student:id course:id grade:cat",
            "student course",
            key("student", "student"),
            key("course", "course"),
        ),
    )
    return database(specs, cells, "student")


def chain(rows: int = 400, seed: int = 0) -> Dataset:
    """Five tables one below the other; what the first holds comes back in the third, and dates
    never lie before those of the row above. Names have points, spaces and other alphabets."""
    rng = np.random.default_rng(seed)
    names = ("kunde", "Vertrag.2020", "offene Posten", "платёж", "注記")
    kind = rng.integers(0, 3, rows)
    day = rng.integers(0, 1000, rows)
    cells: dict[str, Any] = {}
    specs: list[Table] = []
    above, size = np.zeros(0, int), rows
    for depth, name in enumerate(names):
        columns = "id:id kind:cat start:day"
        made = {
            "id": ids(size, 10_000 * (depth + 1)),
            "kind": pa.array(np.char.add("k", kind.astype(str))),
            "start": pa.array(day.astype(np.int32), pa.date32()),
        }
        keys = []
        if depth:
            columns += " up:id"
            made["up"] = nth(ids(len(cells[names[depth - 1]]["id"]), 10_000 * depth), above)
            keys = [key("up", names[depth - 1])]
        cells[name] = made
        specs.append(table(name, columns, "id", *keys))
        counts = rng.integers(0, 3, size) if depth < 3 else rng.integers(0, 2, size)
        above = np.repeat(np.arange(size), counts)
        # Every other generation forgets: what comes back comes from the grandparent.
        root = kind[above]
        loud = rng.random(len(above)) < 0.9
        kind = np.where(loud, root, rng.integers(0, 3, len(above)))
        day = day[above] + rng.integers(0, 60, len(above))
        size = len(above)
    return database(tuple(specs), cells, names[0])
