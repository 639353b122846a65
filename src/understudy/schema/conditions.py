"""`--where`: SQL's own grammar for conditions on columns, read by sqlglot into `Domain`s.

Every condition names one column, so the conditions of a text are a product of one-column domains,
which any engine can obey while drawing instead of throwing rows away afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from understudy.errors import ColumnError, ConditionError, suggest
from understudy.schema.columns import Category, Column, Geo, Number
from understudy.schema.domains import Domain, Value, literal
from understudy.schema.tables import Table

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["Domain", "parse_where"]

GRAMMAR = (
    "A condition is SQL's: `column op value` with op one of = <> != < <= > >=, "
    "`column [NOT] IN (value, ...)`, `column BETWEEN value AND value`, "
    "`column IS [NOT] NULL`, joined by AND. Text stands in single quotes ('F'), numbers stand "
    "plain (60), dates are 'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM:SS', booleans TRUE or FALSE, lengths "
    "of time INTERVAL '3' DAY; a column name with other signs than letters, digits, _ and . stands "
    'in double quotes ("capital-gain").'
)

MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
UNITS = {"WEEK": 604_800, "DAY": 86_400, "HOUR": 3_600, "MINUTE": 60, "SECOND": 1}
ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?")


def parse_where(text: str, spec: Table) -> dict[str, Domain]:
    """The condition on each named column of `spec`.

    Raises ConditionError for anything outside the grammar, a value of the wrong sort, or
    conditions that can never hold together; ColumnError for a column the table has not.
    """
    domains: dict[str, Domain] = {}
    for part in _conjuncts(_parsed(text), text):
        column, domain = _condition(part, spec, text)
        if isinstance(column, Number) and column.integer:
            domain = domain.on_integers()
        before = domains.get(column.name)
        domain = domain if before is None else before.intersect(domain)
        if domain.is_empty:
            raise ConditionError(
                f"the conditions on column {column.name!r} can never hold together: {text!r}. "
                "Loosen or drop one of them."
            )
        domains[column.name] = domain
    return domains


def _parsed(text: str) -> exp.Expr:
    import sqlglot

    try:
        # SQLite's dialect takes names in double quotes, backticks and brackets.
        found = sqlglot.parse(text, dialect="sqlite")
    except sqlglot.errors.SqlglotError as error:
        raise _refused(text, "it is not SQL") from error
    if len(found) != 1 or found[0] is None:
        raise _refused(text, "it is not one condition")
    return found[0]


def _conjuncts(node: exp.Expr, text: str) -> Iterator[exp.Expr]:
    """The conditions that AND joins, in the order of the text."""
    from sqlglot import exp

    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Paren):
            waiting.append(node.this)
        elif isinstance(node, exp.And):
            waiting += [node.expression, node.this]
        elif isinstance(node, exp.Or):
            raise _refused(text, "OR is not part of the grammar; use IN, or ask twice")
        else:
            yield node


def _condition(node: exp.Expr, spec: Table, text: str) -> tuple[Column, Domain]:
    from sqlglot import exp

    operators: dict[type[exp.Expr], str] = {
        exp.EQ: "=",
        exp.NEQ: "<>",
        exp.LT: "<",
        exp.LTE: "<=",
        exp.GT: ">",
        exp.GTE: ">=",
    }
    if type(node) in operators:
        return _comparison(node, operators[type(node)], spec, text)
    negated = isinstance(node, exp.Not)
    inner = node.this if negated else node
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.In) and inner.expressions and not inner.args.get("query"):
        column = _column(inner.this, spec, text)
        values = frozenset(_value(item, column, text) for item in inner.expressions)
        return column, Domain(excluded=values) if negated else Domain(allowed=values)
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        column = _column(inner.this, spec, text)
        return column, Domain() if negated else Domain(nulls=True, values=False)
    if isinstance(inner, exp.Between) and not negated:
        column = _column(inner.this, spec, text)
        low, high = (_value(inner.args[end], column, text) for end in ("low", "high"))
        return column, Domain(low=low, high=high)
    raise _refused(text, f"`{node.sql()}` is not part of the grammar")


def _comparison(node: exp.Expr, operator: str, spec: Table, text: str) -> tuple[Column, Domain]:
    from sqlglot import exp

    left, right = node.this, node.expression
    names = [isinstance(side, exp.Column | exp.Dot) for side in (left, right)]
    if all(names):
        raise _refused(
            text,
            f"`{node.sql()}` compares two columns; text values stand in single quotes",
        )
    if names[1]:
        left, right, operator = right, left, MIRRORED[operator]
    column = _column(left, spec, text)
    value = _value(right, column, text)
    match operator:
        case "=":
            return column, Domain(allowed=frozenset({value}))
        case "<>":
            return column, Domain(excluded=frozenset({value}))
        case "<" | "<=":
            return column, Domain(high=value, high_open=operator == "<")
        case _:
            return column, Domain(low=value, low_open=operator == ">")


def _column(node: exp.Expr, spec: Table, text: str) -> Column:
    """The column a name means; `capital.gain`, which SQL reads as table and column, is one name."""
    from sqlglot import exp

    if not isinstance(node, exp.Column | exp.Dot):
        raise _refused(text, f"`{node.sql()}` is not a column's name")
    parts = [part.name for part in node.parts]
    name = ".".join(parts)
    if parts[0] == spec.name and name not in spec.column_names:
        name = ".".join(parts[1:]) or name
    if name not in spec.column_names:
        raise ColumnError.unknown(name, spec.column_names, table=spec.name, where=f"in {text!r}")
    return spec.column(name)


def _value(node: exp.Expr, column: Column, text: str) -> Value:
    """The literal as a value of the column's kind."""
    found = _literal(node, text)
    wanted, value = _of_kind(found, column)
    if value is None:
        raise ConditionError(
            f"column {column.name!r} {wanted}; {literal(found)} in {text!r} is not one."
        )
    if isinstance(column, Category) and column.levels is not None and value not in column.levels:
        known = [str(level) for level in column.levels]
        raise ConditionError(
            f"column {column.name!r} has no value {literal(value)} (in {text!r}). "
            f"{suggest(str(value), known)}"
        )
    return value


def _literal(node: exp.Expr, text: str) -> Value:
    from sqlglot import exp

    sign = 1
    while isinstance(node, exp.Neg | exp.Paren):
        sign, node = (-sign if isinstance(node, exp.Neg) else sign), node.this
    if isinstance(node, exp.Boolean) and sign == 1:
        return bool(node.this)
    if (
        isinstance(node, exp.Cast)
        and sign == 1
        and node.to.is_type("date", "timestamp", "datetime")
    ):
        node = node.this
    if isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal) and node.unit:
        seconds = UNITS.get(node.unit.name.upper().rstrip("S"))
        if seconds is not None and re.fullmatch(r"-?\d+(\.\d+)?", node.this.name):
            span = timedelta(seconds=float(Decimal(node.this.name) * seconds))
            return -span if sign < 0 else span
    if isinstance(node, exp.Null):
        raise _refused(text, "nothing equals NULL; write IS NULL or IS NOT NULL")
    if not isinstance(node, exp.Literal) or (node.is_string and sign == -1):
        raise _refused(text, f"`{node.sql()}` is not a value")
    if node.is_string:
        return str(node.this)
    number = Decimal(str(node.this)) * sign
    return int(number) if number == number.to_integral_value() else number


def _of_kind(found: Value, column: Column) -> tuple[str, Value | None]:
    """What the column holds, in words, and the value as one of those (None: it is not one)."""
    number = isinstance(found, int | Decimal) and not isinstance(found, bool)
    match column.kind:
        case "number":
            return "holds numbers (write them without quotes)", found if number else None
        case "boolean":
            return "holds TRUE and FALSE", found if isinstance(found, bool) else None
        case "datetime":
            return "holds dates (write 'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM:SS')", _date(found)
        case "duration":
            span = found if isinstance(found, timedelta) else None
            return "holds lengths of time (write INTERVAL '3' DAY)", span
        case "geo":
            if isinstance(column, Geo) and column.axis == "point":
                return "holds points (text)", found if isinstance(found, str) else None
            return "holds degrees (write them without quotes)", found if number else None
        case "category":
            label = None if isinstance(found, timedelta) else found
            return "holds labels (text or whole numbers)", label
        case _:
            return f"is of kind {column.kind}, made anew and never learnt: only IS NULL works", None


def _date(found: Value) -> datetime | None:
    if not isinstance(found, str) or not ISO.fullmatch(found.strip()):
        return None
    try:
        return datetime.fromisoformat(found.strip())
    except ValueError:
        return None


def _refused(text: str, why: str) -> ConditionError:
    return ConditionError(f"the condition {text!r} is not understood: {why}. {GRAMMAR}")
