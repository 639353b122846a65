"""ISO/IEC 27559:2022, privacy enhancing data de-identification framework: its clauses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.disclosure import is_private
from understudy.release.evidence.heading import INSIDE, Heading, by_lines
from understudy.release.guideline_lines import INFERENCE, LINKABILITY, SINGLING_OUT
from understudy.release.privacy_lines import AVERAGE, UNUSUAL
from understudy.release.review import review_by
from understudy.release.white_box_lines import OBJECTS

SOURCE = "ISO/IEC 27559:2022, privacy enhancing data de-identification framework"
NOTE = "Clause names are the standard's; what follows them is what this run can answer."


def iso27559(view: Mapping[str, Any]) -> list[Heading]:
    """Clauses 6 to 9; maximum and average risk stand side by side."""
    return [
        _context(view),
        _attackers(view),
        _maximum(view),
        by_lines(
            "7.3.2 average risk",
            "How likely is a person to be recognised, taking all people together?",
            view,
            (AVERAGE,),
            "The guarantee bounds the maximum, and no average exceeds it.",
        ),
        by_lines(
            "8.2.2 quantifying identifiability",
            "How identifiable are people in the table?",
            view,
            ("copies", "closeness", SINGLING_OUT, LINKABILITY, INFERENCE),
            "What the guarantee leaves to any attacker stands under `privacy.statement`.",
        ),
        _tests(view),
        _mitigation(view),
        Heading(
            "9 governance",
            "Who answers for the release, who may use it, what happens after an incident?",
            "not assessed",
            "A program cannot know it: the organisation that releases has to say. To build on: "
            "what was made, from what, by which version, with hashes of every file.",
            see=("provenance", "verdict"),
        ),
    ]


def _context(view: Mapping[str, Any]) -> Heading:
    says = (
        f"Judged is {OBJECTS[view.get('releases') or 'data']}. Recipients are taken to be anybody: "
        "no contract and no access control is relied on. Who they are, what else they hold and "
        "what moves them was not looked into."
    )
    asks = "Who gets the data, in which environment, with what else at hand?"
    return Heading("6 context assessment", asks, "partly assessed", says, see=("verdict",))


def _attackers(view: Mapping[str, Any]) -> Heading:
    clause, asks = "7.3 attack modelling", "Which attackers, with which knowledge and means?"
    if is_private(view):
        says = "The guarantee is against any attacker with any knowledge; none had to be chosen."
        return Heading(clause, asks, "assessed", says, see=("privacy.statement",))
    attacks = (view.get("battery") or {}).get("attacks") or ()
    kinds = {tuple((one.get("attacker") or {}).values()): one["attacker"] for one in attacks}
    if not kinds:
        return Heading(clause, asks, "not assessed", "No membership attack was made.")
    says = f"{len(attacks)} membership attacks by {len(kinds)} kinds of attacker."
    return Heading(clause, asks, "assessed", says, figures={"attackers": list(kinds.values())})


def _maximum(view: Mapping[str, Any]) -> Heading:
    clause, asks = "7.3.2 maximum risk", "How likely is the person most at risk to be recognised?"
    if not is_private(view):
        return by_lines(clause, asks, view, (UNUSUAL, "membership, few false alarms"))
    says = (
        "The guarantee holds for every unit, also the most unusual one: at a rate of false alarms "
        "fpr, any attacker finds at most the share tpr."
    )
    figures = {"tpr_at_fpr": view["privacy"]["statement"]["tpr_at_fpr"]}
    return Heading(clause, asks, "assessed", says, (), figures, ("privacy.statement",))


def _tests(view: Mapping[str, Any]) -> Heading:
    clause, asks = "8.2.3 adversarial testing", "Was the table attacked, and what could be missed?"
    if is_private(view):
        return Heading(clause, asks, "judged inside", INSIDE)
    battery = view.get("battery") or {}
    power = (battery.get("power") or {}).get("sentence")
    attacks = battery.get("attacks") or ()
    if not attacks or not power:
        return Heading(clause, asks, "not assessed", "No membership attack was made.")
    figures = {"membership_attacks": len(attacks), **(battery.get("family") or {})}
    return Heading(clause, asks, "assessed", power, figures=figures, see=("lines",))


def _mitigation(view: Mapping[str, Any]) -> Heading:
    engine = (view.get("engine") or {}).get("name", "unknown")
    by = review_by(view.get("created")) or "a date that the run does not say"
    kept = "under a privacy budget" if is_private(view) else "without a privacy budget"
    says = (
        f"Rows were made by the engine {engine!r} {kept} and judged after that; identifiers are "
        f"made anew. To be evaluated again by {by}."
    )
    if view.get("override"):
        says += " Released by override, without a PASS."
    asks = "What reduces the risk, and when is it evaluated again?"
    return Heading("8.3 mitigation and re-evaluation", asks, "assessed", says, see=("review",))
