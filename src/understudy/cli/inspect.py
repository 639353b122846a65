"""Kinds, keys, identifiers, rare groups and the strategy that fits -> an editable plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import Delimiter, Encoding, Json, Nulls


def inspect(
    data: Annotated[str, typer.Argument(help="CSV, Parquet, a folder of either, or `-`.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Plan file to write.")] = None,
    null: Nulls = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    unit: Annotated[str | None, typer.Option(help="COL or TABLE.COL: whom to protect.")] = None,
    json: Json = False,
) -> None:
    from understudy.cli.verdict import print_json
    from understudy.data import Dataset, read
    from understudy.data import inspect as look
    from understudy.pipeline.costs import prices
    from understudy.pipeline.planning import with_unit
    from understudy.schema.plan import Plan, Source, dump_plan, json_schema

    rows = read(data, nulls=null or (), delimiter=delimiter, encoding=encoding)
    if unit is not None:
        rows = Dataset(with_unit(rows.schema, unit), rows.tables)
    found = look(rows)
    if out is not None:
        from understudy.data.writing import refuse_other, whole

        refuse_other(out)
        source = Source(path=data, nulls=tuple(null or ()), delimiter=delimiter, encoding=encoding)
        plan = Plan(source=source, data=found.schema)
        head = "# yaml-language-server: $schema=plan.schema.json\n" + _proposals(found)
        whole(out.with_name("plan.schema.json"), lambda p: p.write_text(json_schema()))
        text = head + dump_plan(plan) + prices(plan)
        whole(out, lambda p: p.write_text(text, encoding="utf-8"))
    if json:
        print_json(found.as_dict())
        return
    _show(found)
    if out is not None:
        print(f"\nPlan written to {out}; its end says what a privacy budget would buy.")
        print(f"Edit it, then: understudy run {out} --epsilon 3 (or --no-dp)")


def _proposals(found: object) -> str:
    """Mined rules as comments, ready to be moved into a table's `constraints`."""
    lines = []
    for name, rules in found.proposed.items():  # type: ignore[attr-defined]
        lines.append(
            f"# Rules that every row of {name!r} obeys; under `constraints:` they are kept:"
        )
        lines += [f"#   - {rule.model_dump(mode='json', exclude_defaults=False)}" for rule in rules]
    return "".join(f"{line}\n" for line in lines)


def _show(found: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from understudy.data import Inspection

    assert isinstance(found, Inspection)
    console = Console()
    for spec in found.schema.tables:
        key = f", key {'+'.join(spec.primary_key)}" if spec.primary_key else ""
        key += f", events in the order of {spec.order_by}" if spec.order_by else ""
        table = Table(
            title=f"{spec.name}: {found.rows[spec.name]:,} rows{key}", title_justify="left"
        )
        for head in ("column", "kind", "missing", "why"):
            table.add_column(head)
        for column in spec.columns:
            missing = found.missing.get(f"{spec.name}.{column.name}", 0.0)
            kind = getattr(column, "form", None)
            table.add_row(
                column.name,
                f"{column.kind} ({kind})" if kind else column.kind,
                f"{missing:.1%}" if missing else "",
                column.why,
            )
        console.print(table)
    for link, why in found.keys.items():
        print(f"Key:      {link}: {why}")
    for candidate in found.units:
        print(f"Unit:     {candidate}")
    for name, role in found.roles.items():
        print(f"Role:     {name}: {role}")
    print(f"Strategy: {found.strategy}: {found.why} Engine: {found.engine}.")
    print(f"Privacy:  {found.privacy}")
    for name, rules in found.proposed.items():
        for rule in rules:
            print(f"Rule:     {name}: {rule.rule} {rule.model_dump(exclude={'rule'})}")
    for group in found.rare[:10]:
        print(f"Rare:     {group.table}.{group.column} = {group.level!r}: {group.rows} rows")
    if len(found.rare) > 10:
        print(f"          and {len(found.rare) - 10} more levels held by fewer than 20 rows")
    for warning in found.warnings:
        print(f"Mind:     {warning}")
