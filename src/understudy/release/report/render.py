"""Puts a run into the templates: internal with real aggregates, or public without any.

The public page is rendered from `public_view(run)`, so a template cannot show what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from understudy.release.disclosure import public_view
from understudy.release.report import charts
from understudy.release.report.figures import compact, percent, seconds, times

MOST_COLUMNS = 200
MOST_SQUARES = 40
MOST_PREVIEW_COLUMNS = 40
HEADLINES = (
    ("pair_error", "Pairs of columns", "%"),
    ("shape_error", "Single columns", "%"),
    ("trend_error", "Trends", "%"),
    ("c2st", "A trained judge", "AUC"),
    ("correlation_error", "Correlations", ""),
    ("wasserstein", "Distance of numbers", "IQR"),
)


def render(run: Mapping[str, Any], *, public: bool) -> str:
    """One HTML page with nothing to load. `run` is the dictionary of a run folder.

    `public` leaves out everything computed from real rows except the verdict and its numbers.
    """
    shown = public_view(run) if public else dict(run)
    page = _environment().get_template("report.html.j2")
    return page.render(
        run=shown,
        public=public,
        verdict=shown.get("verdict") or {},
        groups=_lines_by_section((shown.get("verdict") or {}).get("lines") or ()),
        tiles=_tiles(shown.get("scorecard") or {}),
        columns=_columns(shown),
        left_out=max(0, len(_all_columns(shown)) - MOST_COLUMNS),
        most=MOST_COLUMNS,
        maps=_maps(shown.get("scorecard") or {}) if not public else None,
        utility=_utility(shown.get("scorecard") or {}),
        battery=shown.get("battery") or {},
        preview=_preview(shown.get("preview") or {}),
        schema=_schema_columns(shown.get("schema") or {}),
        command=_command(shown),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("understudy.release.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"num": compact, "pct": percent, "seconds": seconds}
    environment.globals |= {
        "times": times,
        "interval": charts.interval,
        "roc": charts.roc,
        "asset": _asset,
    }
    return environment


def _asset(name: str) -> Markup:
    """A style sheet or script of the package, put into the page as it stands."""
    loader = PackageLoader("understudy.release.report")
    source, _, _ = loader.get_source(Environment(autoescape=True), name)
    return Markup(source)


def _lines_by_section(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The gate's lines in the order privacy, validity, fidelity, utility, with their drawing."""
    titles = {
        "privacy": "Privacy",
        "validity": "Validity",
        "fidelity": "Fidelity",
        "utility": "Usefulness",
        "rare": "Rare events",
    }
    groups = []
    for section, title in titles.items():
        rows = []
        for line in lines:
            if line["section"] != section:
                continue
            value = line.get("value")
            good = "above" if section in ("utility", "rare") else "below"
            ends = {key: line.get(key) for key in ("low", "high", "bound", "floor")}
            low, high = ends.pop("low"), ends.pop("high")
            drawing = None
            if value is not None:
                drawing = charts.interval(value, low, high, **ends, good=good)
            rows.append({**line, "drawing": drawing})
        if rows:
            groups.append({"title": title, "lines": rows})
    return groups


def _tiles(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    measured = card.get("measurements") or {}
    tiles = []
    for name, title, unit in HEADLINES:
        found = measured.get(name)
        if not found or found.get("value") is None:
            continue
        value, floor = found["value"], found.get("floor")
        ratio = times(value, floor) if found.get("better") == "lower" else ""
        drawing = charts.interval(value, found.get("low"), found.get("high"), floor=floor)
        tiles.append({**found, "title": title, "unit": unit, "ratio": ratio, "drawing": drawing})
    return tiles


def _all_columns(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of the scorecard, worst first; drawn ones without a score come last."""
    drawn = {column["name"]: column for column in run.get("drawn") or ()}
    scored = list((run.get("scorecard") or {}).get("columns") or ())
    names = {column["name"] for column in scored}
    rest = [column for name, column in drawn.items() if name not in names]
    return [{**drawn.get(column["name"], {}), **column} for column in [*scored, *rest]]


def _columns(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for column in _all_columns(run)[:MOST_COLUMNS]:
        bars = column.get("histogram") or column
        drawing = None
        if bars.get("synthetic") or bars.get("shares"):
            drawing = charts.histogram(column["name"], column["kind"], bars)
        error, floor = column.get("shape_error"), column.get("shape_floor")
        found.append(
            {
                "name": column["name"],
                "kind": column["kind"],
                "error": error,
                "floor": floor,
                "low": column.get("shape_low"),
                "high": column.get("shape_high"),
                "ratio": times(error, floor),
                "missing": column.get("missing"),
                "drawing": drawing,
            }
        )
    return found


def _maps(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """Correlation squares, and pair error over its floor, for the columns with the worst pairs."""
    related, pairs = card.get("correlations") or {}, card.get("pairs") or {}
    names = list(related.get("columns") or ())
    if len(names) < 2:
        return None
    real, synthetic = related["real"], related["synthetic"]
    gap = [[_minus(a, b) for a, b in zip(x, y, strict=True)] for x, y in zip(synthetic, real, strict=True)]
    keep = sorted(_worst(gap)[:MOST_SQUARES])

    def square(values: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
        return [[values[i][j] for j in keep] for i in keep]

    kept = [names[i] for i in keep]
    drawings = [
        ("Real", charts.heatmap(kept, square(real), "Association between real columns")),
        ("Synthetic", charts.heatmap(kept, square(synthetic), "Between synthetic columns")),
        ("Difference ×4", charts.heatmap(kept, square(gap), "Synthetic less real", top=0.25)),
    ]
    return {
        "drawings": drawings,
        "names": kept,
        "left_out": len(names) - len(kept),
        "pairs": _pair_map(pairs),
        "worst": _worst_pairs(pairs, related),
    }


def _pair_map(pairs: Mapping[str, Any]) -> Markup | None:
    """How many floors beyond the floor each pair lies; full colour at three floors."""
    names, error, floor = (pairs.get(key) or [] for key in ("columns", "error", "floor"))
    if len(names) < 2:
        return None
    excess = [
        [None if e is None or not f else max(0.0, e / f - 1) for e, f in zip(es, fs, strict=True)]
        for es, fs in zip(error, floor, strict=True)
    ]
    keep = sorted(_worst(excess)[:MOST_SQUARES])
    values = [[excess[i][j] for j in keep] for i in keep]
    return charts.heatmap([names[i] for i in keep], values, "Pair error beyond its floor", top=2.0)


def _worst_pairs(pairs: Mapping[str, Any], related: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = list(pairs.get("columns") or ())
    place = {name: i for i, name in enumerate(related["columns"])}
    found = []
    for i, one in enumerate(names):
        for j in range(i):
            error, floor = pairs["error"][i][j], pairs["floor"][i][j]
            if error is None or one not in place or names[j] not in place:
                continue
            at = (place[one], place[names[j]])
            found.append(
                {
                    "columns": (names[j], one),
                    "error": error,
                    "floor": floor,
                    "ratio": times(error, floor),
                    "real": related["real"][at[0]][at[1]],
                    "synthetic": related["synthetic"][at[0]][at[1]],
                }
            )
    return sorted(found, key=lambda pair: -pair["error"])[:10]


def _worst(matrix: Sequence[Sequence[float | None]]) -> list[int]:
    """Rows of a square matrix, the one with the largest cell first."""
    peak = [max((abs(x) for x in row if x is not None), default=0.0) for row in matrix]
    return sorted(range(len(peak)), key=lambda i: -peak[i])


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _utility(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = [
        one
        for one in card.get("utility") or ()
        if None not in (one["trained_on_real"], one["trained_on_synthetic"], one["low"], one["high"])
    ]
    if not results:
        return []
    ends = [
        x
        for one in results
        for x in (
            one["trained_on_real"],
            one["trained_on_synthetic"],
            one["trained_on_real"] + one["low"],
            one["trained_on_real"] + one["high"],
        )
    ]
    room = 0.1 * (max(ends) - min(ends) or 0.1)
    span = (min(ends) - room, max(ends) + room)
    return [
        {
            **one,
            "drawing": charts.dumbbell(
                one["trained_on_real"],
                one["trained_on_synthetic"],
                one["trained_on_real"] + one["low"],
                one["trained_on_real"] + one["high"],
                span,
            ),
        }
        for one in results
    ]


def _preview(preview: Mapping[str, Any]) -> dict[str, Any] | None:
    names = list(preview.get("columns") or ())
    rows = list(preview.get("rows") or ())[:12]
    if not names or not rows:
        return None
    return {
        "columns": names[:MOST_PREVIEW_COLUMNS],
        "rows": [row[:MOST_PREVIEW_COLUMNS] for row in rows],
        "left_out": max(0, len(names) - MOST_PREVIEW_COLUMNS),
    }


def _schema_columns(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        column for table in schema.get("tables") or () for column in table.get("columns") or ()
    ]


def _command(run: Mapping[str, Any]) -> str | None:
    """What to type to make this run again; the public view has no seed, so no command either."""
    if run.get("command"):
        return str(run["command"])
    if run.get("seed") is None:
        return None
    target = (run.get("scorecard") or {}).get("target")
    private = run.get("privacy") or {}
    budget = f"--epsilon {private['epsilon']:g}" if private.get("epsilon") else "--no-dp"
    name = (run.get("source") or {}).get("name", "DATA")
    wanted = f" --target {target}" if target else ""
    return f"understudy run {name} {budget}{wanted} --seed {run['seed']}"
