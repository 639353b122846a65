"""The protocol of one reparametrisation step, and the few moves on tables that steps share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import pyarrow as pa

from understudy.schema import Column, Table
from understudy.schema.domains import Domain

Domains = dict[str, Domain]


class Step(Protocol):
    """One rule, learnt. `backward(forward(t)) == t`, and `backward` of anything obeys the rule."""

    @property
    def rule(self) -> str:
        """The rule's name in a plan."""

    def reshape(self, spec: Table) -> Table:
        """The columns left to model."""

    def forward(self, table: pa.Table) -> pa.Table: ...

    def backward(self, table: pa.Table) -> pa.Table: ...

    def translate(self, domains: Domains) -> tuple[Domains, Domains]:
        """Conditions before the step as conditions after it, and those it can only select for."""

    def to_json(self) -> dict[str, Any]: ...

    @property
    def table(self) -> pa.Table | None:
        """What the step keeps beside its JSON."""


def fresh(name: str, spec: Table) -> str:
    """`name`, primed until no column of the table has it."""
    while name in spec.column_names:
        name += "'"
    return name


def reshaped(spec: Table, removed: Iterable[str], added: Iterable[Column]) -> Table:
    """The table with `added` standing where the first of `removed` stood; keys that lose a column
    go, and so do constraints: they are the steps' business now."""
    gone = set(removed)
    columns: list[Column] = []
    arriving = list(added)
    for column in spec.columns:
        if column.name not in gone:
            columns.append(column)
        elif arriving:
            columns += arriving
            arriving = []
    broken = any(name in gone for name in spec.primary_key)
    return Table(
        name=spec.name,
        columns=tuple(columns + arriving),
        primary_key=() if broken else spec.primary_key,
        foreign_keys=tuple(k for k in spec.foreign_keys if not gone & set(k.columns)),
        order_by=None if spec.order_by in gone else spec.order_by,
    )


def replaced(
    table: pa.Table, removed: Iterable[str], added: Mapping[str, pa.Array | pa.ChunkedArray]
) -> pa.Table:
    """The table with the `added` columns standing where the first of `removed` stood."""
    gone = set(removed)
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    arriving = dict(added)
    for name in table.column_names:
        if name not in gone:
            columns[name] = table[name]
        else:
            columns |= arriving
            arriving = {}
    return pa.table(columns | arriving)
