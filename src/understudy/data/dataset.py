"""A dataset: a schema and one Arrow table per table name. One table is a dataset of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from understudy.errors import SourceError
from understudy.schema import Schema


@dataclass(frozen=True)
class Dataset:
    """Tables in the order and with the columns of their schema."""

    schema: Schema
    tables: Mapping[str, pa.Table]

    def __post_init__(self) -> None:
        for spec in self.schema.tables:
            if spec.name not in self.tables:
                raise SourceError(
                    f"the schema names table {spec.name!r}, the data has no such table"
                )
            found = self.tables[spec.name].column_names
            if tuple(found) != spec.column_names:
                raise SourceError(
                    f"table {spec.name!r}: columns {found} differ from the schema's "
                    f"{list(spec.column_names)}"
                )

    @classmethod
    def single(cls, schema: Schema, table: pa.Table) -> Dataset:
        return cls(schema, {schema.table().name: table})

    @property
    def table(self) -> pa.Table:
        """The only table; raises `PlanError` when there are several."""
        return self.tables[self.schema.table().name]

    @property
    def num_rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())

    def with_table(self, table: pa.Table) -> Dataset:
        """The same schema over other rows of the only table."""
        return replace(self, tables={self.schema.table().name: table})
