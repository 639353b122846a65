"""The data card: one page of Markdown for whoever receives the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from understudy.release.disclosure import is_private, public_view
from understudy.release.review import review_by
from understudy.release.white_box_lines import OBJECTS

LIMITS = (
    "It repeats the source's own errors, gaps and biases, and cannot know what the source lacks.",
    "Rare combinations are the least certain: check any finding about small groups on real data.",
    "Rows describe nobody. Do not act on a single row, and do not link rows to people.",
)
UNPAID = (
    "The audit covers the attacks listed in the report; a stronger attack may exist.",
    "It carries no differential-privacy guarantee.",
)
NOISE = (
    "Noise protects the people: counts of small groups may be far off, and some may be missing.",
)


def card(
    run: Mapping[str, Any], files: Sequence[Mapping[str, Any]], *, override: str | None = None
) -> str:
    """Markdown: what it is, its columns, how it was made, the verdict, its limits and its use."""
    view = public_view(run)
    engine, verdict = view["engine"].get("name", "unknown"), view["verdict"]
    rows = sum(file.get("rows", 0) for file in files)
    protected = protected_unit(view["schema"])
    tables = len(view["schema"]["tables"])
    what = "table of" if tables == 1 else f"database of {tables} tables, in all"
    parts = [f"# {_plain(view['title'])}"]
    if override:
        parts.append(
            f"> **Released by override.** The audit ruled {verdict.get('ruling')}. Reason given: "
            f"{_plain(override)}"
        )
    parts += [
        f"A synthetic {what} {rows:,} rows. No row describes a real person.",
        f"## Verdict: {verdict.get('ruling', 'none')}\n\n{_plain(verdict.get('because', ''))}",
        f"It is about {OBJECTS[view['releases']]}.{_until(view)}",
        _lines(verdict.get("lines") or ()),
        view["notice"],
        f"## How it was made\n\nEngine `{engine}` of understudy {view['understudy']}, from "
        f"{_plain(view['source'].get('name', 'a private source'))}. Protected unit: "
        f"{_plain(protected)}. {_plain(view['privacy'].get('sentence', ''))}",
        "## Columns\n\n" + "\n\n".join(_columns(table) for table in view["schema"]["tables"]),
        "## Intended use\n\nTraining and testing of models and software, teaching, and sharing the "
        "shape of data that may not itself be shared.",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(run)),
        "## Files\n\n" + "\n".join(f"- `{f['path']}` (SHA-256 `{f['sha256']}`)" for f in files),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def protected_unit(schema: Mapping[str, Any]) -> str:
    """Whom a run protects: a row, or the column that names them, in a database with its table."""
    unit = schema.get("unit") or {}
    if unit.get("of") != "entity":
        return "a row"
    several = len(schema["tables"]) > 1
    return f"{unit['table']}.{unit['column']}" if several else str(unit["column"])


def _until(view: Mapping[str, Any]) -> str:
    by = review_by(view["created"])
    return f" To be audited again by {by}: attacks get better." if by else ""


def _limits(run: Mapping[str, Any]) -> Sequence[str]:
    return (*LIMITS, *(NOISE if is_private(run) else UNPAID))


def _lines(lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return ""
    rows = [f"| {_plain(x['name'])} | {x['ruling']} | {_plain(x['detail'])} |" for x in lines]
    return "\n".join(["| line | ruling | finding |", "|---|---|---|", *rows])


def _columns(table: Mapping[str, Any]) -> str:
    rows = [f"| {_plain(column['name'])} | {column['kind']} |" for column in table["columns"]]
    head = [f"Table `{table['name']}`", "", "| column | kind |", "|---|---|"]
    return "\n".join([*head, *rows])


def _plain(text: str) -> str:
    """Text that Markdown and HTML take as it stands."""
    for sign, safe in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("\n", " "),
    ):
        text = text.replace(sign, safe)
    return text
