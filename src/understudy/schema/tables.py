"""Tables, keys and the schema of a whole database. Pure data: nothing here reads a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from understudy.errors import ColumnError, PlanError, suggest
from understudy.schema.columns import LEARNT_KINDS, Column, Strict
from understudy.schema.constraints import Constraint, columns_of

Dialect = Literal["postgres", "sqlite", "duckdb"]


class ForeignKey(Strict):
    """`columns` of this table point at `references` of `table` (itself, for a hierarchy).

    Composite keys name several columns; a key is nullable when any of its columns is.
    `on_delete` is what a database does with these rows when the one they point at goes.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    table: str
    references: tuple[str, ...] = Field(min_length=1)
    orphans: Literal["drop", "null"] | None = Field(
        default=None,
        description="Rows that point at nothing: drop them, or empty the key. Refused if not said.",
    )
    on_delete: Literal["cascade", "set null", "set default", "restrict"] | None = None

    @model_validator(mode="after")
    def _same_width(self) -> ForeignKey:
        if len(self.columns) != len(self.references):
            raise ValueError(
                f"foreign key has {len(self.columns)} columns and {len(self.references)} references"
            )
        return self


class Table(Strict):
    """One table: its columns in source order, keys, order column and constraints."""

    name: str
    columns: tuple[Column, ...] = Field(min_length=1)
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    order_by: str | None = Field(
        default=None, description="Column that orders an entity's rows in time."
    )
    constraints: tuple[Constraint, ...] = ()
    role: Literal["owned", "reference"] | None = Field(
        default=None,
        description="owned: its rows belong to the units that point at them; reference: a public "
        "lookup, the same whoever is in the data. Needed for a table that the unit points at.",
    )
    checks: tuple[str, ...] = Field(
        default=(), description="SQL conditions that a database keeps; in force where one is made."
    )
    comment: str | None = Field(default=None, description="What the source database says of it.")

    @model_validator(mode="after")
    def _names_resolve(self) -> Table:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"table {self.name!r} names {repeated[0]!r} twice")
        used = [*self.primary_key, *(name for key in self.foreign_keys for name in key.columns)]
        used += [name for rule in self.constraints for name in columns_of(rule)]
        used += [self.order_by] if self.order_by else []
        for name in used:
            if name not in names:
                raise ValueError(
                    f"table {self.name!r} has no column {name!r}. {suggest(name, names)}"
                )
        for key in self.foreign_keys:
            if key.orphans == "null" and not self.loose(key):
                raise ValueError(
                    f"table {self.name!r}: `orphans: null` needs a column of the key "
                    f"{'+'.join(key.columns)} that may be empty and is part of no other key. Say "
                    "`nullable: true` there, or `orphans: drop`."
                )
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`; raises `ColumnError` with the nearest names."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ColumnError.unknown(name, self.column_names, table=self.name)

    def of_kind(self, *kinds: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.kind in kinds)

    def loose(self, key: ForeignKey) -> tuple[str, ...]:
        """Columns that can be emptied so that `key` points nowhere and nothing else is touched.

        None for a key that must point somewhere.
        """
        others = [other.columns for other in self.foreign_keys if other != key]
        taken = {*self.primary_key, *(name for columns in others for name in columns)}
        return tuple(
            name for name in key.columns if name not in taken and self.column(name).nullable
        )

    @property
    def learnt(self) -> tuple[Column, ...]:
        """Columns an engine for tables models."""
        return self.of_kind(*LEARNT_KINDS)


class Unit(Strict):
    """Whose privacy is protected: a row, or the entity that `column` of `table` names."""

    of: Literal["row", "entity"] = "row"
    table: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Unit:
        if (self.of == "entity") != (self.column is not None):
            raise ValueError("a unit is either `of: row`, or `of: entity` with a `column`")
        return self


class Schema(Strict):
    """Every table of a dataset and the unit whose privacy is protected."""

    tables: tuple[Table, ...] = Field(min_length=1)
    unit: Unit = Unit()
    dialect: Dialect | None = Field(
        default=None, description="Whose SQL the types and checks are in; none outside databases."
    )

    @model_validator(mode="after")
    def _references_resolve(self) -> Schema:
        names = [table.name for table in self.tables]
        for table in self.tables:
            for key in table.foreign_keys:
                if key.table not in names:
                    raise ValueError(
                        f"table {table.name!r} points at table {key.table!r}. "
                        f"{suggest(key.table, names)}"
                    )
                target = self.table(key.table)
                for name in key.references:
                    target.column(name)
        if self.unit.column is not None:
            if self.unit.table is None and len(names) > 1:
                raise ValueError(
                    f"the unit names column {self.unit.column!r} and no table. Add `table:`, one "
                    f"of {', '.join(map(repr, names))}."
                )
            self.table(self.unit.table).column(self.unit.column)
        return self

    def table(self, name: str | None = None) -> Table:
        """The table called `name`, or the only one."""
        if name is None:
            if len(self.tables) != 1:
                raise PlanError(f"which of the {len(self.tables)} tables? Name one.")
            return self.tables[0]
        for table in self.tables:
            if table.name == name:
                return table
        raise PlanError(f"no table {name!r}. {suggest(name, (t.name for t in self.tables))}")

    def with_table(self, table: Table) -> Schema:
        """This schema with the table of the same name replaced."""
        return self.model_copy(
            update={"tables": tuple(table if t.name == table.name else t for t in self.tables)}
        )


def parse_unit(text: str, schema: Schema) -> Unit:
    """The entity that `table.column` names, or `column` where only one table has it.

    Raises `PlanError` for a table that does not exist and for a column that several tables have,
    `ColumnError` for a column that does not exist.
    """
    holding = [table.name for table in schema.tables if text in table.column_names]
    if len(holding) == 1:
        return Unit(of="entity", table=holding[0], column=text)
    if holding:
        choices = " or ".join(f"{name}.{text}" for name in holding)
        raise PlanError(f"which {text!r} is the unit? {len(holding)} tables have it: {choices}.")
    # A table's name may hold points, and so may a column's.
    for table in schema.tables:
        if text.startswith(f"{table.name}."):
            column = table.column(text.removeprefix(f"{table.name}."))
            return Unit(of="entity", table=table.name, column=column.name)
    if len(schema.tables) == 1:
        raise ColumnError.unknown(text, schema.table().column_names, table=schema.table().name)
    keyed = [f"{t.name}.{t.primary_key[0]}" for t in schema.tables if len(t.primary_key) == 1]
    every = [f"{t.name}.{name}" for t in schema.tables for name in t.column_names]
    near = suggest(text, every)
    if near.startswith("Known"):
        near = suggest(text, keyed or every)
    raise PlanError(f"no table and column {text!r} to protect: write TABLE.COLUMN. {near}")


def one_table(name: str, columns: Iterable[Column], unit: Unit | None = None) -> Schema:
    """The schema of a single table."""
    return Schema(tables=(Table(name=name, columns=tuple(columns)),), unit=unit or Unit())
