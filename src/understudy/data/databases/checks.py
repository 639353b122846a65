"""CHECK conditions in the words that engines keep: ranges, inequalities, lists of labels.

Only what can be said exactly is said. Everything else stays text, and the database that is written
puts it in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import pyarrow as pa

from understudy.schema import Category, Column, Constraint, Dialect, Inequality, Number, Range
from understudy.schema.constraints import columns_of

if TYPE_CHECKING:
    from sqlglot import exp

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
TEXTS = ("TEXT", "VARCHAR", "CHAR", "BPCHAR", "NVARCHAR", "NCHAR")
DECLARED = {"name", "nullable", "stored", "sql", "default", "comment"}
"""What stays of a column whose kind is changed."""
Columns = dict[str, Column]
Listed = list[Decimal | str | None]
SORTS = (
    ("number", "whole"),
    ("number", "decimal"),
    ("datetime", "date"),
    ("datetime", "timestamp"),
)
"""Kinds and storage whose order engines keep exactly."""


def translate(
    checks: tuple[str, ...], columns: Mapping[str, Column], types: pa.Schema, dialect: Dialect
) -> tuple[Columns, tuple[Constraint, ...]]:
    """The columns and constraints that say what the `checks` say, as far as they can.

    `types` are the columns' Arrow types: a strict bound is the next value that its type can hold.
    """
    found = dict(columns)
    rules: list[Constraint] = []
    lists: list[tuple[str, Listed]] = []
    for check in checks:
        for node in _conjuncts(_parsed(check, dialect)):
            rule = _inequality(node, found, types) or _bound(node, found, types)
            rules += [rule] if rule is not None else []
            listed = _listed(node, found)
            lists += [listed] if listed is not None else []
    return _settled(_with_labels(found, lists, rules), rules)


def _settled(columns: Columns, rules: list[Constraint]) -> tuple[Columns, tuple[Constraint, ...]]:
    """One range a column; on the high side of an inequality it is bounds of the number instead.

    There an engine works the value out from the low side, and no rule of its own may bend it.
    """
    worked_out = {rule.high for rule in rules if isinstance(rule, Inequality)}
    kept: list[Constraint] = [rule for rule in rules if isinstance(rule, Inequality)]
    names = dict.fromkeys(rule.column for rule in rules if isinstance(rule, Range))
    for name in names:
        mine = [rule for rule in rules if isinstance(rule, Range) and rule.column == name]
        lows = [r.minimum for r in mine if r.minimum is not None]
        highs = [r.maximum for r in mine if r.maximum is not None]
        low = max(lows, key=_comparable, default=None)
        high = min(highs, key=_comparable, default=None)
        if name not in worked_out:
            kept.append(Range(column=name, minimum=low, maximum=high))
        elif isinstance(columns[name], Number) and not isinstance(low or high, str):
            columns[name] = columns[name].model_copy(update={"minimum": low, "maximum": high})
    return columns, tuple(kept)


def _comparable(bound: float | str) -> float:
    return datetime.fromisoformat(bound).timestamp() if isinstance(bound, str) else float(bound)


def _parsed(check: str, dialect: Dialect) -> exp.Expression | None:
    import sqlglot

    try:
        return sqlglot.parse_one(check, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return None


def _conjuncts(node: exp.Expression | None) -> Iterator[exp.Expression]:
    """The conditions that AND joins; BETWEEN is two."""
    from sqlglot import exp

    waiting = [] if node is None else [node]
    while waiting:
        node = waiting.pop().unnest()
        if isinstance(node, exp.And):
            waiting += [node.expression, node.this]
        elif isinstance(node, exp.Between) and not node.args.get("symmetric"):
            yield exp.GTE(this=node.this, expression=node.args["low"])
            yield exp.LTE(this=node.this, expression=node.args["high"])
        else:
            yield node


def _comparison(node: exp.Expression) -> tuple[str, exp.Expression, exp.Expression] | None:
    from sqlglot import exp

    words = {exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
    word = words.get(type(node))
    return None if word is None else (word, node.this.unnest(), node.expression.unnest())


def _inequality(node: exp.Expression, columns: Columns, types: pa.Schema) -> Inequality | None:
    """`a <= b` on columns that engines can order exactly: not floats, and of one sort."""
    found = _comparison(node)
    if found is None:
        return None
    word, left, right = found
    low, high = _column(left, columns), _column(right, columns)
    if low is None or high is None or low == high:
        return None
    sorts = [(columns[name].kind, _sort(types.field(name).type)) for name in (low, high)]
    if len(set(sorts)) > 1 or sorts[0] not in SORTS:
        return None
    if word in (">", ">="):
        low, high = high, low
    return Inequality(low=low, high=high, strict=word in ("<", ">"))


def _sort(kind: pa.DataType) -> str | None:
    tests = {
        "whole": pa.types.is_integer,
        "decimal": pa.types.is_decimal,
        "date": pa.types.is_date,
        "timestamp": pa.types.is_timestamp,
    }
    return next((name for name, fits in tests.items() if fits(kind)), None)


def _bound(node: exp.Expression, columns: Columns, types: pa.Schema) -> Range | None:
    """`column >= value` on a number or a date."""
    found = _comparison(node)
    if found is None:
        return None
    word, left, right = found
    name, value = _column(left, columns), _value(right)
    if name is None:
        word, name, value = MIRRORED[word], _column(right, columns), _value(left)
    if name is None or value is None:
        return None
    if columns[name].kind == "datetime":
        return _date_bound(name, word, value, types.field(name).type)
    if columns[name].kind != "number" or isinstance(value, str):
        return None
    edge = _edge(value, word, types.field(name).type)
    if edge is None:
        return None
    return Range(column=name, **{"minimum" if word[0] == ">" else "maximum": edge})


def _edge(value: Decimal, word: str, kind: pa.DataType) -> float | None:
    """The outermost value of the type that meets the condition; None if no float is that value."""
    up = word[0] == ">"
    if pa.types.is_floating(kind):
        beyond = math.inf if up else -math.inf
        return float(value) if len(word) == 2 else math.nextafter(float(value), beyond)
    step = Decimal(1).scaleb(-kind.scale) if pa.types.is_decimal(kind) else Decimal(1)
    steps = value / step
    if len(word) == 1:
        whole = math.floor(steps) + 1 if up else math.ceil(steps) - 1
    else:
        whole = math.ceil(steps) if up else math.floor(steps)
    edge = float(whole * step)
    return edge if Decimal(str(edge)) == whole * step else None


def _date_bound(name: str, word: str, value: Decimal | str, kind: pa.DataType) -> Range | None:
    """Only bounds that belong to the range: the day before a strict one is another question."""
    told = _sort(kind) in ("date", "timestamp") and getattr(kind, "tz", None) is None
    if len(word) == 1 or not isinstance(value, str) or not told:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    if when.tzinfo is not None:
        return None
    return Range(column=name, **{"minimum" if word[0] == ">" else "maximum": when.isoformat()})


def _with_labels(
    columns: Columns, lists: list[tuple[str, Listed]], rules: list[Constraint]
) -> Columns:
    """Columns with a list of values are categories: of text, and of whole numbers without rules."""
    ruled = {name for rule in rules for name in columns_of(rule)}
    found = dict(columns)
    for name, values in lists:
        column = found[name]
        whole = isinstance(column, Number) and column.integer and name not in ruled
        wanted = Decimal if whole else str
        plain = column.kind in ("category", "text", "identifier") and column.stored == "string"
        if not (whole or plain) or getattr(column, "levels", None):
            continue
        if not all(isinstance(value, wanted) and value == _whole(value) for value in values):
            continue
        common = column.model_dump(include=DECLARED)
        levels = tuple(dict.fromkeys(map(_whole, values)))
        why = "the values that a check allows"
        found[name] = Category(**common, levels=levels, ordered=whole, why=why)
    return found


def _whole(value: Decimal | str | None) -> int | str | None:
    return int(value) if isinstance(value, Decimal) else value


def _listed(node: exp.Expression, columns: Columns) -> tuple[str, Listed] | None:
    """`column IN ('a', 'b')`, as PostgreSQL rewrites it, or as equalities joined by OR."""
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.Or):
        left, right = _listed(node.this, columns), _listed(node.expression, columns)
        same = left is not None and right is not None and left[0] == right[0]
        return (left[0], left[1] + right[1]) if same else None
    if isinstance(node, exp.In) and not node.args.get("query"):
        values = node.expressions
    elif isinstance(node, exp.EQ):
        array = _uncast(node.expression.this if isinstance(node.expression, exp.Any) else node)
        values = array.expressions if isinstance(array, exp.Array) else [node.expression]
    else:
        return None
    name = _column(node.this, columns)
    return None if name is None or not values else (name, [_value(value) for value in values])


def _uncast(node: exp.Expression) -> exp.Expression:
    from sqlglot import exp

    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node


def _column(node: exp.Expression, columns: Mapping[str, Column]) -> str | None:
    """The column that stands here by itself, or in a cast that changes no value of it."""
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.Cast) and not node.to.expressions:
        inner = node.this.unnest()
        spec = columns.get(inner.name) if isinstance(inner, exp.Column) else None
        if spec is not None and _kept(node.to.this.name, spec.stored or ""):
            node = inner
    if not isinstance(node, exp.Column) or node.table:
        return None
    if node.name in columns:
        return node.name
    folded = [n for n in columns if n.casefold() == node.name.casefold()]
    return folded[0] if len(folded) == 1 and not node.this.quoted else None


def _kept(to: str, stored: str) -> bool:
    """Whether a cast to that type keeps each value: PostgreSQL writes such casts to compare."""
    if stored == "string":
        return to in TEXTS
    whole = stored.startswith("int")
    return (to == "DECIMAL" and (whole or stored.startswith("decimal"))) or (
        to == "BIGINT" and whole
    )


def _value(node: exp.Expression) -> Decimal | str | None:
    """A literal, whatever it is cast to; numbers exactly."""
    from sqlglot import exp

    node = _uncast(node)
    sign = 1
    while isinstance(node, exp.Neg):
        sign, node = -sign, _uncast(node.this)
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        text = str(node.this)
        # PostgreSQL spells a negative constant as quoted text with a cast.
        return _exact(text, sign) if text.startswith("-") or sign < 0 else text
    return _exact(str(node.this), sign)


def _exact(text: str, sign: int) -> Decimal | None:
    try:
        return sign * Decimal(text)
    except InvalidOperation:
        return None
