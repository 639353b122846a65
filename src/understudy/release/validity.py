"""Validity: does the synthetic table keep the source's form and every declared rule?

Sentences never quote a value or a bound computed from real rows, because they are printed in
public reports.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from understudy.data.dataset import Dataset
from understudy.encoding.constraints import duplicates, violations
from understudy.encoding.constraints.checks import describe
from understudy.errors import UserError
from understudy.schema import Category, Column, Identifier, Number, Schema, Table, Text


def check(synthetic: Dataset, real: Dataset, *, private: bool = False) -> dict[str, Any]:
    """`{"rows": int, "problems": [str], "checked": [str]}` of `synthetic` against its source.

    `problems` break the table; `checked` says what was looked at, with findings that are allowed.
    A run under a privacy budget (`private`) could not look at levels, gaps and identifiers of the
    source for free, so its rows are held to what the schema declares.
    """
    problems: list[str] = []
    checked: list[str] = []
    for spec in real.schema.tables:
        where = f"table {spec.name!r}: " if len(real.schema.tables) > 1 else ""
        if spec.name not in synthetic.tables:
            problems.append(f"table {spec.name!r} is missing")
            continue
        source = real.tables[spec.name]
        known = _public_keys(spec, real.schema)
        found = _Findings(spec, synthetic.tables[spec.name], source, private, known)
        found.look()
        problems += [where + problem for problem in found.problems]
        checked += [where + said for said in found.checked]
    return {"rows": synthetic.num_rows, "problems": problems, "checked": checked}


def _public_keys(spec: Table, schema: Schema) -> frozenset[str]:
    """Identifiers that may be real: those of reference tables, and keys that point at them."""
    lookups = {table.name for table in schema.tables if table.role == "reference"}
    if spec.name in lookups:
        return frozenset(spec.column_names)
    return frozenset(n for key in spec.foreign_keys if key.table in lookups for n in key.columns)


class _Findings:
    """What was found in one table, collected check by check."""

    def __init__(
        self,
        spec: Table,
        synthetic: pa.Table,
        real: pa.Table,
        private: bool,
        public: frozenset[str],
    ) -> None:
        self.spec, self.synthetic, self.real, self.private = spec, synthetic, real, private
        self.public = public
        self.problems: list[str] = []
        self.checked: list[str] = []

    def look(self) -> None:
        comparable = self._form()
        for column in self.spec.columns:
            if column.name in comparable:
                self._cells(column)
        self.checked.append(f"cells of {len(comparable)} columns: missing values, levels, ranges")
        if comparable.issuperset(self.spec.column_names):
            self._rules()

    def _form(self) -> set[str]:
        """Names, order and types; returns the columns whose values can be compared."""
        ours, theirs = self.synthetic.column_names, self.real.column_names
        if ours != theirs:
            missing = [name for name in theirs if name not in ours]
            extra = [name for name in ours if name not in theirs]
            what = f"lacks {missing}" if missing else f"adds {extra}" if extra else "are reordered"
            self.problems.append(f"the columns differ from the source's: the table {what}")
        common = [name for name in theirs if ours.count(name) == 1]
        wrong = [n for n in common if self.synthetic[n].type != self.real[n].type]
        for name in wrong:
            self.problems.append(
                f"column {name!r} is of type {self.synthetic[name].type}, in the source of "
                f"{self.real[name].type}"
            )
        self.checked.append("column names, order and types")
        return set(common) - set(wrong)

    def _cells(self, column: Column) -> None:
        ours, theirs = self.synthetic[column.name], self.real[column.name]
        full = not column.nullable if self.private else not theirs.null_count
        if ours.null_count and full and not isinstance(column, Text):
            self.problems.append(
                f"column {column.name!r} has {ours.null_count:,} missing cells, the "
                f"{'schema allows' if self.private else 'source'} none"
            )
        match column:
            case Category():
                self._levels(column, ours, theirs)
            case Number():
                self._range(column, ours, theirs)
            case Identifier() if not self.private and column.name not in self.public:
                self._identifiers(column.name, ours, theirs)

    def _levels(self, column: Category, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> None:
        declared = pa.array(column.levels or (), theirs.type)
        if self.private and column.levels is None:
            return
        known = declared if self.private else pa.concat_arrays([theirs.unique(), declared])
        unknown = pc.sum(pc.invert(pc.is_in(ours.drop_null(), value_set=known))).as_py() or 0
        if unknown:
            self.problems.append(f"column {column.name!r} has {unknown:,} cells of unknown levels")

    def _range(self, column: Number, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> None:
        present = ours.drop_null()
        if pa.types.is_floating(present.type):
            finite = pc.is_finite(present)
            if not pc.all(finite).as_py() and len(present):
                self.problems.append(f"column {column.name!r} has cells that are not finite")
            present = present.filter(finite)
        for bound, beyond, word in (
            (column.minimum, pc.less, "below"),
            (column.maximum, pc.greater, "above"),
        ):
            count = 0 if bound is None else pc.sum(beyond(present, pa.scalar(bound))).as_py() or 0
            if count:
                self.problems.append(
                    f"column {column.name!r} has {count:,} cells {word} the declared {bound:g}"
                )
        if self.private or column.minimum is not None or column.maximum is not None:
            return
        ends = pc.min_max(theirs)
        outside = pc.or_(pc.less(present, ends["min"]), pc.greater(present, ends["max"]))
        count = pc.sum(outside).as_py() or 0
        if count:
            self.checked.append(
                f"column {column.name!r}: {count:,} cells beyond the range of the source "
                "(allowed, as no bounds are declared)"
            )

    def _identifiers(self, name: str, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> None:
        known = theirs.drop_null().unique()
        shared = pc.sum(pc.is_in(ours.drop_null(), value_set=known)).as_py() or 0
        self.checked.append(f"identifiers {name!r} against the real ones")
        if shared:
            self.problems.append(f"identifier {name!r} repeats real values in {shared:,} cells")

    def _rules(self) -> None:
        key = self.spec.primary_key
        if key:
            repeated = int(duplicates(self.synthetic, [key]).sum())
            empty = sum(self.synthetic[name].null_count for name in key)
            self.checked.append(f"primary key {', '.join(map(repr, key))}")
            if repeated or empty:
                self.problems.append(
                    f"primary key {', '.join(map(repr, key))}: {repeated:,} rows repeat an earlier "
                    f"one, {empty:,} cells are empty"
                )
        for rule in self.spec.constraints:
            self.checked.append(f"constraint {describe(rule)}")
            try:
                broken = int(violations(rule, self.synthetic, self.real).sum())
            except UserError as error:
                self.problems.append(f"constraint {describe(rule)} cannot be checked: {error}")
                continue
            if broken:
                self.problems.append(
                    f"constraint {describe(rule)} is broken in {broken:,} of "
                    f"{self.synthetic.num_rows:,} rows"
                )
