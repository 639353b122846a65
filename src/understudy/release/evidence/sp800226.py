"""NIST SP 800-226, guidelines for evaluating differential privacy guarantees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.disclosure import is_private
from understudy.release.evidence.heading import Heading

SOURCE = "NIST SP 800-226 (2025), Guidelines for Evaluating Differential Privacy Guarantees"
NOTE = "A guarantee is as good as the narrowest of these."
WITHOUT = (
    "Made without differential privacy: there is nothing to state. What protection there is rests "
    "on what the attacks could not do, not on a theorem."
)
ASKS = {
    "epsilon": "How much may any output's probability change, as a factor of e^epsilon?",
    "delta": "Which slack is added to that factor?",
    "privacy unit": "Whose presence is hidden?",
    "neighbouring relation": "Which two datasets may not be told apart?",
    "accountant": "How were the parts added up, and can others do it again?",
    "undeclared queries": "What was looked at without being charged?",
    "random number generator": "Can the noise be guessed?",
    "floating point": "Does the noise have the distribution that the proof assumes?",
    "side channels": "What leaks by other ways than the output?",
    "trust model": "Who sees the rows?",
    "audit lower bound": "How much leakage was proved to be there, beside the claim?",
}


def sp800226(view: Mapping[str, Any]) -> list[Heading]:
    """Each asked-for property, from the ledger's statement; all of them open without a budget."""
    if not is_private(view):
        return [Heading(clause, asks, "not assessed", WITHOUT) for clause, asks in ASKS.items()]
    stated = view["privacy"]["statement"]
    answers = {**_parameters(stated), **_around(stated)}
    unplaced = (
        "No canaries were placed in this run, so nothing was proved from below. What the attacks "
        "found inside is not told."
    )
    found = []
    for clause, asks in ASKS.items():
        if clause not in answers:
            found.append(Heading(clause, asks, "not assessed", unplaced))
            continue
        says, figures = answers[clause]
        see = ("privacy.statement",)
        found.append(Heading(clause, asks, "assessed", says, figures=figures, see=see))
    return found


Answer = tuple[str, dict[str, Any]]


def _parameters(stated: Mapping[str, Any]) -> dict[str, Answer]:
    """What the guarantee promises, and to whom."""
    epsilon, delta, asked = stated["epsilon"], stated["delta"], stated["budget"]["epsilon"]
    unit = {key: stated[key] for key in ("unit", "rows_per_unit") if stated.get(key)}
    accountant = stated["accountant"]
    whom = "each row" if stated["unit"] == "row" else f"each {stated['unit']} with all its rows"
    return {
        "epsilon": (f"{epsilon:.4g} spent of {asked:g} allowed.", {"epsilon": epsilon}),
        "delta": (
            f"{delta:g}; epsilon at other deltas is listed under `privacy.statement`.",
            {"delta": delta},
        ),
        "privacy unit": (f"{whom[0].upper()}{whom[1:]}.", unit),
        "neighbouring relation": (
            f"{stated['relation'][0].upper()}{stated['relation'][1:]}.",
            {"relation": stated["relation"]},
        ),
        "accountant": (
            f"{accountant['method']} (dp-accounting {accountant['dp_accounting']}), over "
            f"{len(stated['events'])} events that are listed for others to add up.",
            {"method": accountant["method"], "dp_accounting": accountant["dp_accounting"]},
        ),
    }


def _around(stated: Mapping[str, Any]) -> dict[str, Answer]:
    """What the promise rests on. Says what holds of every run, and points to the statement."""
    public = [one["what"] for one in stated.get("public") or ()]
    return {
        "undeclared queries": (
            "The decision to release, one bit, is taken on real rows and not charged. What was "
            f"taken as public without being bought: {'; '.join(public) or 'nothing'}. Figures of "
            "the audit were computed inside, not charged, and are not told. Earlier looks by "
            "people, by other programs or by tuning that the ledger does not know are not covered.",
            {},
        ),
        "random number generator": (
            "AES-256 in counter mode, keyed by the operating system for each process; it takes no "
            "seed.",
            {},
        ),
        "floating point": (
            "Noise is drawn in floating point; its deviation from the exact distribution is not "
            "part of epsilon and delta. Noise on counts is rounded to whole numbers before it is "
            "added, so that the low bits of a float do not leave.",
            {},
        ),
        "side channels": ("How long a run took, and whether it failed, is not protected.", {}),
        "trust model": (
            "Central: whoever runs understudy, and the machine it runs on, see the rows.",
            {},
        ),
    }
