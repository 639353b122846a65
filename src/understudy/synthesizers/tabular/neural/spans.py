"""What an axis knows, as a refusal tells it."""

from __future__ import annotations

from understudy.encoding.discrete import Axis, LabelAxis

SHOWN = 12


def span(axis: Axis) -> str:
    """A sentence: its first labels, or its ends."""
    if isinstance(axis, LabelAxis):
        shown = ", ".join(repr(v) for v in axis.values.slice(0, SHOWN).to_pylist())
        return f"Known: {shown}{', ...' if len(axis.values) > SHOWN else ''}."
    if len(axis.starts) == 0:
        return "The column has no known values."
    ends = axis.ends()
    return f"It goes from {ends[0]} to {ends[1]}."
