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
    Sum,
    Unique,
)
from understudy.schema.tables import Dialect, ForeignKey, Schema, Table, Unit, one_table

__all__ = [
    "LEARNT_KINDS",
    "Boolean",
    "Category",
    "Column",
    "Constraint",
    "Datetime",
    "Dependency",
    "Dialect",
    "Duration",
    "FixedCombinations",
    "ForeignKey",
    "Geo",
    "Identifier",
    "Inequality",
    "Number",
    "Range",
    "Schema",
    "Sum",
    "Table",
    "Text",
    "Unique",
    "Unit",
    "one_table",
]
