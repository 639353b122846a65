"""What may leave: a run cut down to the fields a stranger may read.

Without a privacy budget nothing computed from real rows may be published except the verdict and
the numbers it rests on. So this names what is kept, and everything else stays: a field that some
later part adds to a run is private until it is listed here. Left behind are real histograms,
correlations, missing shares, pair tables, ranges, reasons of inference, notes, and the seed, with
which anyone holding candidate rows could rerun the engine and compare.

Under a privacy budget not even the numbers of the verdict leave: no budget paid for them. What is
left is the ruling, the ledger's statement, and what follows from the synthetic rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOTICE = (
    "The numbers of the verdict were computed on private data. No privacy budget paid for them: "
    "they are rounded to three digits, and they are all that is told here about real rows."
)
PAID_NOTICE = (
    "Every number here that depends on real rows was paid for from the privacy budget. The audit's "
    "own numbers were not, and stay inside; of them only the ruling is told."
)
MEASURES = (
    "pair_error",
    "shape_error",
    "trend_error",
    "c2st",
    "correlation_error",
    "wasserstein",
)
RULINGS = {
    "PASS": "The budget was kept, and the audit inside found no reason to hold the table back.",
    "FAIL": "The audit inside found a reason to hold the table back.",
    "INCONCLUSIVE": "The audit inside could not clear the table.",
}


def public_view(run: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The publishable part of a run; `drawn` are histograms made by `profile` from synthetic rows.

    A run that is a public view already comes back unchanged in content.
    """
    return {
        "format": run.get("format", 1),
        "public": True,
        "title": run.get("title", "Synthetic table"),
        "created": run.get("created"),
        "understudy": run.get("understudy"),
        "engine": _only(run.get("engine"), "name", "config"),
        "race": _race(run.get("race")),
        "releases": run.get("releases") or "data",
        "privacy": _privacy(run.get("privacy") or {}),
        "source": _only(run.get("source"), "name"),
        "schema": _schema(run.get("schema") or {}),
        "preview": _only(run.get("preview"), "columns", "rows"),
        "drawn": list(drawn) or list(run.get("drawn") or ()),
        **_database(run.get("database") or {}),
        "override": run.get("override"),
        **(_paid(run) if is_private(run) else _unpaid(run)),
    }


def _privacy(privacy: Mapping[str, Any]) -> dict[str, Any]:
    """The guarantee without whatever tells one source from another: by what name the ledger knows
    it, what else was spent on it, and at which of the ledger's entries. Two certificates of one
    house would say whether a row was changed between them, and nothing paid for that.
    """
    told = _only(privacy, "mode", "sentence")
    stated = privacy.get("statement")
    if not stated:
        return told
    left_out = ("dataset", "all_runs", "events")
    kept = {name: value for name, value in stated.items() if name not in left_out}
    events = [_only(event, "query", "event") for event in stated["events"]]
    return {**told, "statement": {**kept, "events": events}}


def _race(race: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Who raced and who won, or by which rule there was no race; the scores were computed on real
    rows and stay."""
    if not race:
        return None
    if not race["entries"]:
        return dict(race)
    entries = [_only(entry, "engine", "outcome") for entry in race["entries"]]
    return {"winner": race["winner"], "entries": entries}


def _paid(run: Mapping[str, Any]) -> dict[str, Any]:
    """Findings about real rows that a budget covers: none but the ruling, which is one bit."""
    ruling = str((run.get("verdict") or {}).get("ruling", "none"))
    return {
        "verdict": {"ruling": ruling, "because": RULINGS.get(ruling, "It was not audited.")},
        "validity": _only(run.get("validity"), "rows"),
        "notice": PAID_NOTICE,
    }


def _unpaid(run: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict's numbers, which nothing paid for, rounded."""
    return {
        "verdict": _rounded(_verdict(run.get("verdict") or {})),
        "scorecard": _rounded(_scorecard(run.get("scorecard") or {})),
        "battery": _rounded(_battery(run.get("battery") or {})),
        "validity": _only(run.get("validity"), "rows", "problems", "checked"),
        "notice": NOTICE,
    }


def is_private(run: Mapping[str, Any]) -> bool:
    """Whether the rows were made under a differential-privacy budget."""
    return str((run.get("privacy") or {}).get("mode", "none")) != "none"


def _only(source: Mapping[str, Any] | None, *keys: str) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source} if source else {}


def _rounded(found: Any) -> Any:
    """Figures to three significant digits: what a ruling needs, and no more."""
    if isinstance(found, Mapping):
        return {key: _rounded(item) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return [_rounded(item) for item in found]
    return float(f"{found:.3g}") if isinstance(found, float) else found


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Names and kinds; levels, bounds and reasons may have been inferred from real rows."""
    tables = [
        {
            "name": table.get("name"),
            "columns": [_only(column, "name", "kind") for column in table.get("columns", ())],
        }
        for table in schema.get("tables", ())
    ]
    return {"tables": tables, "unit": schema.get("unit") or {"of": "row"}}


def _database(database: Mapping[str, Any]) -> dict[str, Any]:
    """The graph of tables: names, keys and roles are public, and so are counts of synthetic rows.
    Counts of real rows and histories stay.
    """
    if not database:
        return {}
    told = ("name", "role", "order_by", "primary_key", "foreign_keys", "columns")
    tables = [_only(table, *told, "rows_synthetic") for table in database.get("tables") or ()]
    return {"database": {"tables": tables}}


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Lines about rare events name groups and count people: of those only the ruling is told."""
    lines, ruling = list(verdict.get("lines") or ()), verdict.get("ruling")
    decided = [line for line in lines if line["ruling"] == ruling != "PASS"]
    told = dict(verdict)
    if any(line["section"] == "rare" for line in decided):
        told["because"] = RULINGS[str(ruling)]
    return {**told, "lines": [_unless_rare(line) for line in lines]}


def _unless_rare(line: Mapping[str, Any]) -> Mapping[str, Any]:
    if line["section"] != "rare":
        return line
    hidden = "Judged inside; rare groups are not described here."
    return {**_only(line, "name", "ruling", "section"), "detail": hidden}


def _scorecard(card: Mapping[str, Any]) -> dict[str, Any]:
    figures = ("value", "low", "high", "floor", "floor_low", "floor_high")
    words = ("name", "n", "meaning", "better", "unit")
    measured = card.get("measurements") or {}
    columns = ("name", "kind", "shape_error", "shape_floor", "shape_low", "shape_high")
    utility = ("model", "metric", "trained_on_real", "trained_on_synthetic", "low", "high")
    return {
        **_only(card, "kind"),
        "rows": _only(card.get("rows"), "synthetic"),
        "target": card.get("target"),
        "measurements": {
            name: _only(measured[name], *words, *figures) for name in MEASURES if name in measured
        },
        "columns": [_only(column, *columns) for column in card.get("columns") or ()],
        "utility": [_only(one, *utility, "difference") for one in card.get("utility") or ()],
    }


def _battery(battery: Mapping[str, Any]) -> dict[str, Any]:
    attack = ("name", "attacker", "stratum", "roc", "powers", "realised_fpr")
    rates = [
        name + end for name in ("auc", "tpr_at_1", "tpr_at_5") for end in ("", "_low", "_high")
    ]
    group = ("attack", "stratum", "p")
    tests = ("p", "share_train", "share_holdout", "near_p", "near_share_train")
    rare = ("tried", "share_train", "share_holdout", "p")
    copies = _only(battery.get("copies"), *tests, "near_share_holdout")
    copies["rare_keys"] = _only((battery.get("copies") or {}).get("rare_keys"), *rare)
    return {
        "exchangeable": _only(battery.get("exchangeable"), "c2st", "low", "high", "ok"),
        "copies": copies,
        "closeness": _only(battery.get("closeness"), "closer_to_train", "low", "high", "tie_share"),
        "attacks": [_only(one, *attack, *rates) for one in battery.get("attacks") or ()],
        "strata": [_only(one, *group, *rates) for one in battery.get("strata") or ()],
        "family": _only(battery.get("family"), "p", "strongest", "z", "permutations"),
        "power": _only(battery.get("power"), "smallest_auc", "sentence"),
    }
