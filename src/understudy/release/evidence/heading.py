"""One heading of a guideline: what it asks, whether that was assessed, and where the answer stands.

Headings are made from the public view of a run, so under a budget none of them can hold a finding
about real rows: what was judged inside is said to be, and only the ruling over all is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from understudy.release.disclosure import is_private

Status = Literal["assessed", "partly assessed", "judged inside", "not assessed"]
INSIDE = (
    "Judged inside. No budget paid for the findings, so of them only the ruling over all is told."
)


@dataclass(frozen=True)
class Heading:
    """`lines` name lines of the gate with their rulings, `see` other parts of the certificate."""

    clause: str
    asks: str
    status: Status
    says: str
    lines: tuple[Mapping[str, str], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    see: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Without the parts that are empty."""
        return {key: value for key, value in asdict(self).items() if value not in ((), {})}


def by_lines(
    clause: str, asks: str, view: Mapping[str, Any], names: Sequence[str], otherwise: str = ""
) -> Heading:
    """A heading that lines of the gate answer; `otherwise` says what stands in for them under a
    budget.
    """
    if is_private(view):
        return Heading(clause, asks, "judged inside", f"{INSIDE} {otherwise}".strip())
    wanted = {name: i for i, name in enumerate(names)}
    lines = (view.get("verdict") or {}).get("lines") or ()
    found = sorted((x for x in lines if x["name"] in wanted), key=lambda x: wanted[x["name"]])
    told = tuple({"line": line["name"], "ruling": line["ruling"]} for line in found)
    measured = [line for line in found if line.get("value") is not None]
    if not measured:
        why = " ".join(line["detail"] for line in found) or "No line of the gate asked this."
        return Heading(clause, asks, "not assessed", why, told)
    said = "; ".join(f"{line['line']}: {line['ruling']}" for line in told)
    status: Status = "assessed" if len(measured) == len(wanted) else "partly assessed"
    return Heading(clause, asks, status, f"{said}.", told, see=("lines",))
