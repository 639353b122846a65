"""What the data is: columns, tables, keys, constraints, the protected unit, plan files."""

from understudy.schema.columns import (
    LEARNT_KINDS,
    Boolean,
    Category,
    Column,
    Datetime,
    Duration,
    Geo,
    Identifier,
    Number,
    Text,
)
from understudy.schema.constraints import (
    Constraint,
    Dependency,
    FixedCombinations,
    Inequality,
    Range,
    Running,
    Sum,
    Unique,
)
from understudy.schema.tables import ForeignKey, Schema, Table, Unit, one_table, parse_unit

__all__ = [
    "LEARNT_KINDS",
    "Boolean",
    "Category",
    "Column",
    "Constraint",
    "Datetime",
    "Dependency",
    "Duration",
    "FixedCombinations",
    "ForeignKey",
    "Geo",
    "Identifier",
    "Inequality",
    "Number",
    "Range",
    "Running",
    "Schema",
    "Sum",
    "Table",
    "Text",
    "Unique",
    "Unit",
    "one_table",
    "parse_unit",
]
