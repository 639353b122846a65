"""Rules every synthetic row must obey. Engines meet them by construction (see `encoding`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from understudy.schema.columns import Strict


class Inequality(Strict):
    """`low <= high` (or `<` when strict) wherever both are present."""

    rule: Literal["inequality"] = "inequality"
    low: str
    high: str
    strict: bool = False


class FixedCombinations(Strict):
    """Only combinations of values that occur in the source occur in the output."""

    rule: Literal["fixed_combinations"] = "fixed_combinations"
    columns: tuple[str, ...] = Field(min_length=2)


class Sum(Strict):
    """`total` is the sum of `parts` wherever all parts are present."""

    rule: Literal["sum"] = "sum"
    total: str
    parts: tuple[str, ...] = Field(min_length=2)


class Range(Strict):
    """`minimum <= column <= maximum`; ISO text for dates."""

    rule: Literal["range"] = "range"
    column: str
    minimum: float | str | None = None
    maximum: float | str | None = None


class Unique(Strict):
    """No two rows agree on all of `columns`."""

    rule: Literal["unique"] = "unique"
    columns: tuple[str, ...] = Field(min_length=1)


class Dependency(Strict):
    """A functional dependency: `determines` follows from `by`, as it does in the source."""

    rule: Literal["dependency"] = "dependency"
    by: tuple[str, ...] = Field(min_length=1)
    determines: str


class Running(Strict):
    """`column` is its value before plus `amount`, row by row in the order of the table's clock.

    Rows that agree on `by` (an entity's key) are one account, which starts at nought. Where `sign`
    names a column, rows whose value there is one of `plus` add the amount and all others take it
    away. Such a column is worked out and never learnt.
    """

    rule: Literal["running"] = "running"
    column: str
    amount: str
    by: tuple[str, ...] = Field(min_length=1)
    sign: str | None = None
    plus: tuple[str, ...] = ()


Constraint = Annotated[
    Inequality | FixedCombinations | Sum | Range | Unique | Dependency | Running,
    Field(discriminator="rule"),
]


def columns_of(constraint: Constraint) -> tuple[str, ...]:
    """Every column a constraint names, in order."""
    match constraint:
        case Inequality():
            return (constraint.low, constraint.high)
        case FixedCombinations() | Unique():
            return constraint.columns
        case Sum():
            return (constraint.total, *constraint.parts)
        case Range():
            return (constraint.column,)
        case Dependency():
            return (*constraint.by, constraint.determines)
        case Running():
            signed = () if constraint.sign is None else (constraint.sign,)
            return (constraint.column, constraint.amount, *constraint.by, *signed)
