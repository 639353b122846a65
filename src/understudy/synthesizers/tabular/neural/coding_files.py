"""Codings and gaps among the arrays of a model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from understudy.errors import FormatError
from understudy.synthesizers.tabular.axis_files import Arrays
from understudy.synthesizers.tabular.neural.coding import Coding
from understudy.synthesizers.tabular.neural.folder import Contents
from understudy.synthesizers.tabular.neural.gaps import Gaps
from understudy.synthesizers.tabular.neural.tokens import Codings


def codings_out(codings: Codings) -> Arrays:
    """The arrays of all codings; the card lists those that are staged."""
    arrays: Arrays = {}
    for i, coding in enumerate(codings.values()):
        arrays[f"{i}/group"], arrays[f"{i}/shares"] = coding.group, coding.shares
    return arrays


def codings_in(found: Contents, path: Path) -> dict[str, Coding]:
    """What `codings_out` wrote; raises `FormatError` where it does not fit the columns."""
    return {name: _coding(i, found, name, path) for i, name in enumerate(found.axes)}


def gaps_out(gaps: Gaps) -> Arrays:
    return {f"gap/{one}/{other}": open_ for (one, other), open_ in gaps.items() if one < other}


def gaps_in(arrays: Mapping[str, NDArray[Any]]) -> Gaps:
    gaps = {}
    for name, open_ in arrays.items():
        if name.startswith("gap/"):
            one, other = map(int, name.split("/")[1:])
            gaps[one, other], gaps[other, one] = open_, open_.T.copy()
    return gaps


def _coding(i: int, found: Contents, name: str, path: Path) -> Coding:
    axis, group, shares = found.axes[name], found.arrays[f"{i}/group"], found.arrays[f"{i}/shares"]
    if len(group) != axis.size or len(shares) != axis.size:
        raise FormatError(f"the model in {path} is damaged: column {name!r} has other codes.")
    return Coding(axis, group, shares, name in found.card["staged"])
