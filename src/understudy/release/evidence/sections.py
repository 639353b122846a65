"""All headings of a run, guideline by guideline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.evidence import iso27559, law, sp800226, wp216


def evidence(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`source`, `note` and `headings` of each guideline.

    `view` is a run's public view: what may not be published cannot be pointed to.
    """
    guidelines = (
        (wp216.SOURCE, wp216.NOTE, wp216.wp216),
        (iso27559.SOURCE, iso27559.NOTE, iso27559.iso27559),
        (sp800226.SOURCE, sp800226.NOTE, sp800226.sp800226),
        (law.SOURCE, law.NOTE, law.law),
    )
    return [
        {"source": source, "note": note, "headings": [h.as_dict() for h in headings(view)]}
        for source, note, headings in guidelines
    ]
