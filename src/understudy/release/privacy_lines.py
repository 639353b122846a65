"""The privacy lines of the gate: preconditions, copies, closeness, membership.

Membership is judged twice, over all rows and among the most unusual ones, because a leak of a few
records vanishes in an average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from understudy.contracts import Line, Released, Ruling
from understudy.release.figures import percent
from understudy.release.findings import against, complete, number, unmeasured
from understudy.release.guideline_lines import guideline_lines
from understudy.release.thresholds import Thresholds
from understudy.release.white_box_lines import white_box_lines

AVERAGE = "membership, on average"
UNUSUAL = "membership, unusual people"
GUESSING_AT_5 = 0.05
"""What guessing finds at five false alarms in a hundred."""
ENDS = {"value": "", "low": "_low", "high": "_high"}


def privacy_lines(
    battery: Mapping[str, Any], bounds: Thresholds, *, released: Released = "data"
) -> list[Line]:
    """One `Line` per privacy question; none of them is ever left out.

    What the model itself gives away decides only where it is `released` or may be queried.
    """
    precondition = _preconditions(battery, bounds)
    comparable = battery.get("exchangeable", {}).get("ok") is True
    dependent = [
        _closeness(battery.get("closeness") or {}, bounds),
        _average(battery, bounds, "auc"),
        _average(battery, bounds, "tpr_at_1"),
        _worst_group(battery, bounds),
        *guideline_lines(battery, bounds),
        *white_box_lines(battery, bounds, released),
    ]
    if not comparable:
        dependent = [_suspended(line) for line in dependent]
    return [precondition, _copies(battery, bounds), *dependent]


def _preconditions(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    name, alike = "a fair comparison", battery.get("exchangeable") or {}
    smallest = number(battery.get("power") or {}, "smallest_auc")
    if number(alike, "c2st") is None or smallest is None:
        return unmeasured(name, "Whether training rows and held-out rows are alike")
    measured: dict[str, Any] = {"value": smallest, "bound": bounds.power_auc, "floor": 0.5}
    if alike.get("ok") is not True:
        return Line(
            name,
            "INCONCLUSIVE",
            f"The rows learnt from and the rows held out differ (AUC {alike['c2st']:.3f} between "
            "them), so an attack would find that difference and not a leak; split by person, not "
            "by time or place.",
            "privacy",
            **measured,
        )
    if smallest > bounds.power_auc:
        return Line(
            name,
            "INCONCLUSIVE",
            f"There are too few rows to clear anybody: a leak had to reach an AUC of "
            f"{smallest:.3f} to be noticed, and one of {bounds.power_auc:.2f} should be.",
            "privacy",
            **measured,
        )
    return Line(
        name,
        "PASS",
        f"Training and held-out rows are alike, and a leak with an average AUC of "
        f"{smallest:.3f} or more would have been noticed four times in five.",
        "privacy",
        **measured,
    )


def _copies(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    name, copies = "copies", battery.get("copies") or {}
    tests = list(_copy_tests(copies, str(battery.get("unit") or "row")))
    if not tests:
        return unmeasured(name, "Copies of real records")
    if battery.get("control_rows") == 0:
        found = copies.get("exact_train") or 0
        detail = (
            f"{found:,} records that only one person learnt from has reappear in the synthetic "
            "table; without rows held out nobody can say whether that is more than coincidence."
        )
        return Line(name, "INCONCLUSIVE", detail, "privacy")
    guilty = [
        test
        for test in tests
        if test["p"] * len(tests) <= bounds.copies_p
        and test["train"] > bounds.copies_odds * test["holdout"]
    ]
    shown = min(guilty, key=lambda test: test["p"]) if guilty else tests[0]
    measured: dict[str, Any] = {
        "value": shown["train"],
        "floor": shown["holdout"],
        "bound": bounds.copies_odds * shown["holdout"],
    }
    shares = (
        f"{percent(shown['train'], 2)} of the unique records learnt from reappear in the synthetic "
        f"table ({shown['what']}), and {percent(shown['holdout'], 2)} of those never seen"
    )
    if guilty:
        detail = f"{shares}; chance makes such a gap {_chance(shown['p'])}."
        return Line(name, "FAIL", detail, "privacy", **measured)
    detail = f"{shares}, which coincidence explains or which gives next to nothing away."
    if shown["p"] * len(tests) > bounds.copies_p:
        detail = f"{shares}: no more than coincidence."
    return Line(name, "PASS", detail, "privacy", **measured)


def _copy_tests(copies: Mapping[str, Any], unit: str) -> Iterable[dict[str, Any]]:
    """The tests that were made, as shares of train and of holdout repeated, and a p value."""
    rare = copies.get("rare_keys") or {}
    columns = " + ".join(rare.get("columns") or ())
    found = (
        ("whole records", copies, "p", "share_train", "share_holdout"),
        ("rounded records", copies, "near_p", "near_share_train", "near_share_holdout"),
        (f"rare values of {columns}", rare, "p", "share_train", "share_holdout"),
        *(
            (f"all {one['column']} of one {unit}", one, "p", "share_train", "share_holdout")
            for one in sorted(copies.get("profiles") or (), key=lambda one: one["p"])[:1]
        ),
    )
    for what, source, p, train, holdout in found:
        if number(source, p) is None:
            continue
        # No unique record on a side: nobody there can be given away by a repeat.
        shares = {
            "train": number(source, train) or 0.0,
            "holdout": number(source, holdout) or 0.0,
        }
        yield {"what": what, "p": source[p], **shares}


def _closeness(closeness: Mapping[str, Any], bounds: Thresholds) -> Line:
    name = "closeness"
    value, low, high = (number(closeness, key) for key in ("closer_to_train", "low", "high"))
    if value is None or low is None or high is None:
        return unmeasured(name, "Whether synthetic rows lean on the rows learnt from")
    ties = number(closeness, "tie_share") or 0.0
    ruling = against(low, high, bounds.closer_share)
    if ruling == "PASS" and ties > bounds.tie_share:
        ruling = "INCONCLUSIVE"
    share, ends = percent(value), f"{percent(low)} to {percent(high)}"
    said = f"{share} of synthetic rows are nearer to a row learnt from than to one never seen"
    detail = {
        "PASS": f"{said}; two real samples give 50 %.",
        "FAIL": f"{said}, which is clearly more than the 50 % of two real samples.",
        "INCONCLUSIVE": f"{said}, too uncertain to rule (interval {ends}).",
    }[ruling]
    if ties > bounds.tie_share:
        detail = (
            f"{percent(ties, 0)} of distances tie, so distances say nothing about this table of "
            "few distinct rows."
        )
        if ruling == "FAIL":
            detail = f"{said}, although {percent(ties, 0)} of distances tie."
    return Line(name, ruling, detail, "privacy", value, low, high, bounds.closer_share, 0.5)


def _average(battery: Mapping[str, Any], bounds: Thresholds, measure: str) -> Line:
    """An attack beyond its bound convicts where that is beyond chance, after correcting for all
    that were tried; to acquit, the upper bound over all attacks must keep within it.
    """
    names = {"auc": AVERAGE, "tpr_at_1": "membership, few false alarms"}
    bound, guess = {"auc": (bounds.auc, 0.5), "tpr_at_1": (bounds.tpr_at_1, 0.01)}[measure]
    attacks = complete(battery.get("attacks") or (), measure)
    if not attacks:
        return unmeasured(names[measure], "Whether an attacker can tell who was in the data")
    highest = best_of(battery, "all", measure) or max(
        attacks, key=lambda one: one[f"{measure}_high"]
    )
    beyond = [one for one in attacks if one[f"{measure}_low"] > bound]
    chances = _corrected(battery)
    guilty = [one for one in beyond if chances.get(one["name"], 0.0) <= bounds.family_p]
    lucky = max(beyond, key=lambda found: found[f"{measure}_low"]) if beyond else None
    shown = max(guilty, key=lambda found: found[f"{measure}_low"]) if guilty else lucky or highest
    ruling = against(0.0, highest[f"{measure}_high"], bound)
    ruling = "FAIL" if guilty else "INCONCLUSIVE" if lucky else ruling
    value, low, high = (shown[measure + end] for end in ("", "_low", "_high"))
    said = {
        "auc": f"The best of {len(attacks)} attacks ({shown['name']}) tells members from strangers "
        f"with an AUC of {value:.3f} [{low:.3f}, {high:.3f}]",
        "tpr_at_1": f"At one false alarm in a hundred the best of {len(attacks)} attacks "
        f"({shown['name']}) finds {percent(value)} of members [{percent(low)}, {percent(high)}]",
    }[measure]
    limit = f"{bound:.2f}" if measure == "auc" else f"{percent(bound, 0)}"
    detail = {
        "PASS": f"{said}, within the bound of {limit}.",
        "FAIL": f"{said}, beyond the bound of {limit}.",
        "INCONCLUSIVE": f"{said}; the bound of {limit} lies inside the interval"
        f"{_blind_spot(battery)}.",
    }[ruling]
    if lucky and not guilty:
        detail = (
            f"{said}, beyond the bound of {limit}, but chance alone does as well somewhere among "
            f"all attacks with probability {chances[shown['name']]:.2f}{_blind_spot(battery)}."
        )
    return Line(names[measure], ruling, detail, "privacy", value, low, high, bound, guess)


def _corrected(battery: Mapping[str, Any]) -> dict[str, float]:
    """The p value of each attack on all rows, corrected for all attacks and strata."""
    return {
        group["attack"]: group["p"]
        for group in battery.get("strata") or ()
        if group.get("stratum") == "all" and number(group, "p") is not None
    }


def best_of(battery: Mapping[str, Any], stratum: str, measure: str) -> Mapping[str, Any] | None:
    """The attack with the largest upper bound, which covers the best attack, as a finding."""
    for one in battery.get("best") or ():
        if (one["stratum"], one["measure"]) == (stratum, measure):
            name = " or ".join(dict.fromkeys(one["attacks"]))
            ends = {measure + end: one[key] for key, end in ENDS.items()}
            return {"name": name, "attack": name, "stratum": stratum, **ends}
    return None


def _worst_group(battery: Mapping[str, Any], bounds: Thresholds) -> Line:
    name = UNUSUAL
    groups = [
        group
        for group in complete(battery.get("strata") or (), "tpr_at_5")
        if min(group.get("members", 0), group.get("others", 0)) >= bounds.stratum_rows
    ]
    hidden = [group for group in groups if _omitted(group, bounds)]
    if hidden:
        return _omission(name, min(hidden, key=lambda group: group["auc"]), bounds)
    limit = GUESSING_AT_5 + bounds.stratum_tolerance
    guilty = [group for group in groups if _beyond_chance(group, bounds, limit)]
    judged = [group for group in groups if group.get("stratum") != "all"]
    if not judged and not guilty:
        return unmeasured(name, "Membership among unusual people (400 rows a side are needed)")
    strata = dict.fromkeys(group["stratum"] for group in groups)
    chosen = [best_of(battery, stratum, "tpr_at_5") for stratum in strata]
    fair = [one for one in chosen if one is not None]
    highest = max(guilty or fair or groups, key=lambda group: group["tpr_at_5_high"])
    value, low, high = (highest["tpr_at_5" + end] for end in ("", "_low", "_high"))
    said = (
        f"Among {_where(highest)} the attack that does best ({highest['attack']}) finds "
        f"{percent(value)} of members [{percent(low)}, {percent(high)}] at five false alarms in a "
        "hundred"
    )
    ruling: Ruling = "PASS" if high <= bounds.stratum_tpr_at_5 else "INCONCLUSIVE"
    detail = f"{said}, within the bound of {percent(bounds.stratum_tpr_at_5, 0)}."
    if ruling == "INCONCLUSIVE":
        blind = _blind_spot(battery, rarest=True)
        detail = f"{said}; a leak up to {percent(high, 0)} cannot be excluded{blind}."
    if guilty:
        auc, p = number(highest, "auc"), number(highest, "p")
        ruling = "FAIL"
        detail = f"{said}; guessing finds 5 %"
        detail += f". Its AUC there is {auc:.3f}" if auc is not None else ""
        detail += f" (p {p:.3f} after correcting for all attacks tried)." if p is not None else "."
    measured = (value, low, high, bounds.stratum_tpr_at_5, GUESSING_AT_5)
    return Line(name, ruling, detail, "privacy", *measured)


def _where(group: Mapping[str, Any]) -> str:
    return "all rows" if group["stratum"] == "all" else f"the {group['stratum']} rows"


def _omitted(group: Mapping[str, Any], bounds: Thresholds) -> bool:
    """Members score lower than strangers, beyond chance and by an amount that matters."""
    p, high = number(group, "p_lower"), number(group, "auc_high")
    significant = p is not None and p <= bounds.family_p
    return significant and high is not None and group["auc"] < 1 - bounds.auc and high < 0.5


def _omission(name: str, group: Mapping[str, Any], bounds: Thresholds) -> Line:
    detail = (
        f"Among {_where(group)} members score lower than strangers ({group['attack']}, AUC "
        f"{group['auc']:.3f}, p {group['p_lower']:.3f} after correcting for all attacks tried): "
        "rows near to theirs were removed, and the gap points at them as a copy would."
    )
    ends = (group["auc"], group["auc_low"], group["auc_high"])
    return Line(name, "FAIL", detail, "privacy", *ends, 1 - bounds.auc, 0.5)


def _beyond_chance(group: Mapping[str, Any], bounds: Thresholds, limit: float) -> bool:
    """Significant over the whole family of attacks, and of a size that matters."""
    p, auc = number(group, "p"), number(group, "auc")
    if p is None:  # an audit without a family test: its own interval decides
        return bool(group["tpr_at_5_low"] > limit)
    if p > bounds.family_p:
        return False
    return bool(group["tpr_at_5"] > limit or (auc is not None and auc > bounds.stratum_auc))


def _suspended(line: Line) -> Line:
    """Without a fair comparison neither a good nor a bad result means anything."""
    return Line(
        line.name,
        "INCONCLUSIVE",
        f"Not to be trusted without a fair comparison: {line.detail}",
        line.section,
        line.value,
        line.low,
        line.high,
        line.bound,
        line.floor,
    )


def _blind_spot(battery: Mapping[str, Any], *, rarest: bool = False) -> str:
    """The smallest leak this audit could have seen, as the end of a sentence."""
    power = battery.get("power") or {}
    smallest = number(power, "smallest_auc_rarest") if rarest else None
    smallest = number(power, "smallest_auc") if smallest is None else smallest
    if smallest is None:
        return ""
    return f", and the smallest leak that could have been seen is an AUC of {smallest:.3f}"


def _chance(p: float) -> str:
    return "less than once in a thousand" if p < 0.001 else f"{1000 * p:.0f} times in a thousand"
