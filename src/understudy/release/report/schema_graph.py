"""The tables of a database as boxes, and their foreign keys as lines; inline SVG.

Tables stand to the right of those they point at. A box holds the name, the rows and the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from understudy.release.report.charts import svg

WIDTH, GAP_X, GAP_Y, LINE, HEAD = 190.0, 74.0, 22.0, 17.0, 44.0
MOST_KEYS = 5

Tables = Sequence[Mapping[str, Any]]


def schema_graph(tables: Tables) -> Markup | None:
    """None for fewer than two tables."""
    if len(tables) < 2:
        return None
    depth = _depths(tables)
    boxes: dict[str, tuple[float, float, float]] = {}
    heights: dict[int, float] = {}
    for table in tables:
        column = depth[table["name"]]
        top = heights.get(column, 4.0)
        height = HEAD + LINE * max(1, len(_keys(table))) + 6
        boxes[table["name"]] = (4 + column * (WIDTH + GAP_X), top, height)
        heights[column] = top + height + GAP_Y
    lines = [line for table in tables for line in _lines(table, boxes)]
    body = "".join([*lines, *(_box(table, boxes[table["name"]]) for table in tables)])
    width = 8 + (max(depth.values()) + 1) * WIDTH + max(depth.values()) * GAP_X
    says = f"{len(tables)} tables: " + "; ".join(_said(table) for table in tables)
    return svg(width, max(heights.values()) - GAP_Y + 4, says, body, "schema")


def _depths(tables: Tables) -> dict[str, int]:
    """The longest way of keys from each table to one that points nowhere; cycles are cut."""
    depth = {table["name"]: 0 for table in tables}
    for _ in range(len(tables) - 1):
        for table in tables:
            above = [
                depth[key["table"]]
                for key in table.get("foreign_keys") or ()
                if key["table"] != table["name"]
            ]
            if above:
                depth[table["name"]] = min(len(tables) - 1, max(above) + 1)
    used = sorted(set(depth.values()))
    return {name: used.index(place) for name, place in depth.items()}


def _keys(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(class, text) of the primary key and of each foreign key."""
    primary = table.get("primary_key") or ()
    found = [("level", "+".join(primary))] if primary else []
    for key in table.get("foreign_keys") or ():
        found.append(("tick", f"{'+'.join(key['columns'])} → {key['table']}"))
    if len(found) > MOST_KEYS:
        found = [*found[:MOST_KEYS], ("tick", f"{len(found) - MOST_KEYS} more keys")]
    return found


def _box(table: Mapping[str, Any], place: tuple[float, float, float]) -> str:
    x, y, height = place
    rows = f"{table.get('rows_synthetic', 0):,} synthetic rows"
    if table.get("rows_real") is not None:
        rows = f"{table['rows_real']:,} real, {table.get('rows_synthetic', 0):,} synthetic"
    kind = " lookup" if table.get("role") == "reference" else ""
    parts = [
        f'<rect class="table{kind}" x="{x:g}" y="{y:g}" width="{WIDTH:g}" height="{height:g}" '
        'rx="7"/>',
        f'<text class="level name" x="{x + 10:g}" y="{y + 18:g}">{_cut(table["name"], 26)}</text>',
        f'<text class="tick" x="{x + 10:g}" y="{y + 34:g}">{escape(rows)}</text>',
    ]
    for i, (css, text) in enumerate(_keys(table)):
        at = y + HEAD + LINE * i + 10
        parts.append(f'<text class="{css}" x="{x + 10:g}" y="{at:g}">{_cut(text, 30)}</text>')
    return "".join(parts)


def _lines(table: Mapping[str, Any], boxes: Mapping[str, tuple[float, float, float]]) -> list[str]:
    found = []
    x, y, height = boxes[table["name"]]
    for key in table.get("foreign_keys") or ():
        if key["table"] not in boxes:
            continue
        left, top, tall = boxes[key["table"]]
        if key["table"] == table["name"]:
            found.append(
                f'<path class="key" d="M{x + WIDTH:g} {y + 14:g}c22 0 22 {height - 28:g} 0 '
                f'{height - 28:g}"/>'
            )
            continue
        start, stop = (x, left + WIDTH) if left < x else (x + WIDTH, left)
        middle, end = y + height / 2, top + tall / 2
        bend = (start + stop) / 2
        found.append(
            f'<path class="key" d="M{start:g} {middle:g}C{bend:g} {middle:g} {bend:g} {end:g} '
            f'{stop:g} {end:g}"/>'
        )
    return found


def _said(table: Mapping[str, Any]) -> str:
    keys = [key["table"] for key in table.get("foreign_keys") or ()]
    return f"{table['name']} points at {', '.join(keys)}" if keys else f"{table['name']}"


def _cut(text: str, length: int) -> Markup:
    return escape(text if len(text) <= length else text[: length - 1] + "…")
