"""What rows break of what a schema declares, counted in the target's own SQL.

Asked only after the target has refused the rows: its own error names one row's values, which no
message of ours may, and not how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from understudy.data.databases.ddl import Target, names, quoted, reference, unique_keys
from understudy.errors import ConstraintError
from understudy.schema import ForeignKey, Table

Count = Callable[[str], int]
Place = Callable[[str], str]
"""SQL that stands for the rows of a table, in their final types."""


def refuse_broken(target: Target, place: Place, count: Count, where: str) -> None:
    """Raises `ConstraintError` for the first rule that rows break, with how many do."""
    for spec in target.schema.tables:
        for rule, query in _rules(target, spec, place):
            broken = count(query)
            if broken:
                rows = count(f"SELECT count(*) FROM {place(spec.name)} t")
                raise ConstraintError(
                    f"{where} refuses the rows of table {spec.name!r}: {rule} is broken by "
                    f"{broken:,} of {rows:,}. Nothing was written. Correct the rows, or take the "
                    "rule out of the plan."
                )


def _rules(target: Target, spec: Table, place: Place) -> Iterator[tuple[str, str]]:
    rows = f"{place(spec.name)} t"
    if spec.primary_key:
        yield f"the primary key ({names(spec.primary_key)})", _repeated(rows, spec.primary_key)
    for key in unique_keys(spec):
        yield f"the unique key ({names(key)})", _repeated(rows, key)
    for check in target.checks(spec):
        yield f"the check ({check})", f"SELECT count(*) FROM {rows} WHERE NOT ({check})"
    for key in spec.foreign_keys:
        yield f"the foreign key {reference(key)}", _orphans(rows, key, place)


def _repeated(rows: str, key: tuple[str, ...]) -> str:
    present = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    groups = f"SELECT count(*) AS n FROM {rows} WHERE {present} GROUP BY {names(key)}"
    return f"SELECT coalesce(sum(n - 1), 0) FROM ({groups}) g"


def _orphans(rows: str, key: ForeignKey, place: Place) -> str:
    present = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in key.columns)
    equal = " AND ".join(
        f"p.{quoted(theirs)} = t.{quoted(ours)}"
        for ours, theirs in zip(key.columns, key.references, strict=True)
    )
    parents = f"SELECT 1 FROM {place(key.table)} p WHERE {equal}"
    return f"SELECT count(*) FROM {rows} WHERE {present} AND NOT EXISTS ({parents})"
