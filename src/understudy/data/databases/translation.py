"""A condition in the SQL of another database, with the same meaning there."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from understudy.schema import Dialect

if TYPE_CHECKING:
    from sqlglot import exp


def translated(check: str, source: Dialect | None, target: Dialect) -> str:
    """The condition in the target's SQL; as it is where there is nothing to translate."""
    import sqlglot

    if source is None or source == target:
        return check
    tree = sqlglot.parse_one(check, dialect=source)
    return str(tree.transform(_plain, target).sql(dialect=target))


def _plain(node: exp.Expression, target: Dialect) -> exp.Expression:
    """PostgreSQL spells out what types it compares; others take a cast by its own word."""
    from sqlglot import exp

    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        array = node.expression.this.unnest()
        while isinstance(array, exp.Cast):
            array = array.this.unnest()
        if isinstance(array, exp.Array):
            listed = [v.transform(_plain, target) for v in array.expressions]
            return exp.In(this=node.this.transform(_plain, target), expressions=listed)
    return _uncast(node, target) if isinstance(node, exp.Cast) else node


def _uncast(node: exp.Cast, target: Dialect) -> exp.Expression:
    from sqlglot import exp

    inner = node.this.unnest()
    while isinstance(inner, exp.Cast):
        inner = inner.this.unnest()
    to, types = node.to.this, exp.DataType
    if isinstance(inner, exp.Literal) and to in types.NUMERIC_TYPES:
        return _number(str(inner.this)) or node
    # A type that somebody made is an enumeration: its values are texts. SQLite has no dates: it
    # would make a number of the year.
    bare = {*types.TEXT_TYPES, types.Type.BPCHAR, types.Type.USERDEFINED}
    # DuckDB's bare DECIMAL keeps three digits only, and it compares numbers without it.
    rounded = target == "duckdb" and to == types.Type.DECIMAL and not node.to.expressions
    timeless = target == "sqlite" and to in types.TEMPORAL_TYPES
    if to in bare or rounded or timeless:
        return inner.transform(_plain, target)
    return node


def _number(text: str) -> exp.Expression | None:
    from sqlglot import exp

    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    literal = exp.Literal.number(str(abs(value)))
    return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal
