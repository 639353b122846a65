"""What data-protection law asks to see: evidence, and never a conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.evidence.heading import Heading, by_lines
from understudy.release.evidence.wp216 import BOUNDED
from understudy.release.guideline_lines import INFERENCE, LINKABILITY, SINGLING_OUT
from understudy.release.privacy_lines import AVERAGE, UNUSUAL
from understudy.release.white_box_lines import NAME

SOURCE = "Evidence asked for by data-protection law"
NOTE = (
    "This is evidence. It is no legal conclusion and no legal advice: whether a table or a model "
    "is anonymous, and whether safeguards are reasonable, is for whoever answers for the release "
    "to decide, and for authorities and courts to review."
)


def law(view: Mapping[str, Any]) -> list[Heading]:
    """GDPR with EDPB Opinion 28/2024, and India's DPDPA 2023, section 8(5)."""
    return [
        by_lines(
            "GDPR recital 26",
            "Are people identifiable by any means reasonably likely to be used?",
            view,
            (AVERAGE, "membership, few false alarms", UNUSUAL, *_risks()),
            BOUNDED,
        ),
        _model(view),
        Heading(
            "EDPB Opinion 28/2024, documentation",
            "Can an authority see what was made, what was tested, and how it held?",
            "partly assessed",
            "Design, budget, tests, bounds and versions are in this file. The purpose, the legal "
            "basis, and how the source was collected are not known to it.",
            see=("privacy", "lines", "thresholds", "provenance"),
        ),
        Heading(
            "India, DPDPA 2023, section 8(5)",
            "Which reasonable security safeguards were taken to prevent a personal data breach?",
            "partly assessed",
            f"One safeguard is evidenced: artificial rows in place of real ones, judged for "
            f"{_whom(view)} before release, with hashes, versions and a date to judge again. "
            "Access, encryption, logs and contracts around the source are not known to this file.",
            see=("verdict", "privacy", "provenance", "review"),
        ),
    ]


def _risks() -> tuple[str, ...]:
    return SINGLING_OUT, LINKABILITY, INFERENCE


def _model(view: Mapping[str, Any]) -> Heading:
    clause = "EDPB Opinion 28/2024, the model"
    asks = "How likely is it that data of people are extracted from the model, or got by queries?"
    if (view.get("releases") or "data") == "data":
        says = "The model is not released and may not be queried; the verdict does not cover it."
        return Heading(clause, asks, "not assessed", says)
    return by_lines(clause, asks, view, (NAME,), BOUNDED)


def _whom(view: Mapping[str, Any]) -> str:
    unit = (view.get("schema") or {}).get("unit") or {}
    return f"each {unit['column']}" if unit.get("of") == "entity" else "each row"
