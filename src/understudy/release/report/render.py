"""Puts a run into the templates: internal with real aggregates, or public without any.

The public page is rendered from `public_view(run)`, so a template cannot show what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined
from markupsafe import Markup

from understudy.release.disclosure import is_private, public_view
from understudy.release.evidence import evidence
from understudy.release.figures import compact, percent, times
from understudy.release.privacy_lines import AVERAGE
from understudy.release.report import charts
from understudy.release.report.database_section import database_section
from understudy.release.report.deviation import deviations
from understudy.release.report.method import method
from understudy.release.report.rare_section import rare_section
from understudy.release.report.relations import pair_squares
from understudy.release.report.roc import roc
from understudy.release.review import review_by
from understudy.release.white_box_lines import OBJECTS

MOST_COLUMNS = 200
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
    page = environment().get_template("report.html.j2")
    return page.render(
        run=shown,
        public=public,
        paid_only=public and is_private(shown),
        verdict=shown.get("verdict") or {},
        groups=_lines_by_section((shown.get("verdict") or {}).get("lines") or ()),
        tiles=_tiles(shown.get("scorecard") or {}),
        columns=_columns(shown),
        left_out=max(0, len(_all_columns(shown)) - MOST_COLUMNS),
        most=MOST_COLUMNS,
        maps=pair_squares(shown.get("scorecard") or {}) if not public else None,
        database=database_section(shown, _columns),
        rare=None if public else rare_section(shown.get("scorecard") or {}),
        utility=_utility(shown.get("scorecard") or {}),
        battery=shown.get("battery") or {},
        attackers=_attackers(shown),
        preview=_preview(shown.get("preview") or {}),
        schema=_schema_columns(shown.get("schema") or {}),
        command=_command(shown),
        method=method(shown),
        released=OBJECTS[shown.get("releases") or "data"],
        review_by=review_by(shown.get("created")),
        evidence=evidence(public_view(run)) if run.get("verdict") else [],
    )


def environment() -> Environment:
    """The package's templates, escaped, with figures written as everywhere."""
    environment = Environment(
        loader=PackageLoader("understudy.release.report"),
        autoescape=True,
        undefined=ChainableUndefined,  # audits and half-finished runs lack parts
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written: dict[str, Callable[..., str]] = {"num": compact, "pct": percent}
    environment.filters |= {name: _or_dash(function) for name, function in written.items()}
    environment.filters["mechanism"] = _mechanism
    environment.globals |= {
        "times": times,
        "asset": _asset,
    }
    return environment


def _mechanism(event: Mapping[str, Any]) -> str:
    """A privacy event in a few words: `gaussian, sigma 37.4`."""
    if event.get("event") == "composed":
        return "; ".join(dict.fromkeys(_mechanism(part) for part in event["events"]))
    told = (f"{k} {v:.4g}" for k, v in event.items() if k != "event")
    return ", ".join((str(event.get("event", "unknown")).replace("_", " "), *told))


def _or_dash(written: Callable[..., str]) -> Callable[..., str]:
    """The filter, taking what a run lacks for nothing."""
    return lambda value, *rest: written(None if isinstance(value, Undefined) else value, *rest)


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
            low, high, bound, floor = (line.get(k) for k in ("low", "high", "bound", "floor"))
            drawing = None
            if value is not None:
                also = (0.0,) if line.get("source") == "ledger" else ()
                drawing = charts.interval(
                    value, low, high, bound=bound, floor=floor, good=good, also=also
                )
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
                "floors": error / floor if error is not None and floor else None,
                "deviation": deviations(bars),
                "missing": column.get("missing"),
                "drawing": drawing,
            }
        )
    return found


def _utility(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = [
        one
        for one in card.get("utility") or ()
        if None
        not in (one["trained_on_real"], one["trained_on_synthetic"], one["low"], one["high"])
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


def _attackers(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every attack with its ROC and its AUC on an axis they share, the surest first."""
    attacks = list((run.get("battery") or {}).get("attacks") or ())
    lines = (run.get("verdict") or {}).get("lines") or ()
    bound = next((line["bound"] for line in lines if line["name"] == AVERAGE), None)
    ends = ("auc", "auc_low", "auc_high")
    known = [one for one in attacks if all(one.get(end) is not None for end in ends)]
    also = [0.5, *(one[end] for one in known for end in ends)]
    found = []
    for one in attacks:
        drawing = None
        if one in known:
            auc, low, high = (one[end] for end in ends)
            drawing = charts.interval(auc, low, high, bound=bound, floor=0.5, also=also)
        curve = roc(one["roc"], one["name"], one.get("powers") or ()) if one.get("roc") else None
        found.append({**one, "drawing": drawing, "curve": curve})
    return sorted(found, key=lambda one: -(one.get("auc_low") or 0.0))


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
    return [column for table in schema.get("tables") or () for column in table.get("columns") or ()]


def _command(run: Mapping[str, Any]) -> str | None:
    """What to type to make this run again; the public view has no seed, so no command either."""
    if "command" in run:
        return run["command"] or None
    if run.get("seed") is None:
        return None
    target = (run.get("scorecard") or {}).get("target")
    private = run.get("privacy") or {}
    asked = (private.get("statement") or {}).get("budget")
    budget = f"--epsilon {asked['epsilon']:g}" if asked else "--no-dp"
    engine = (run.get("engine") or {}).get("name")
    if engine not in (None, "marginals" if asked else "tree"):
        budget += f" --engine {engine}"
    name = (run.get("source") or {}).get("name", "DATA")
    wanted = f" --target {target}" if target else ""
    if (run.get("releases") or "data") != "data":
        wanted += f" --releases {run['releases']}"
    return f"understudy run {name} {budget}{wanted} --seed {run['seed']}"
