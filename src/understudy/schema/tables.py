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


def one_table(name: str, columns: Iterable[Column], unit: Unit | None = None) -> Schema:
    """The schema of a single table."""
    return Schema(tables=(Table(name=name, columns=tuple(columns)),), unit=unit or Unit())
