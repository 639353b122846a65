"""The autoregressive model on disk: the folder of `neural.folder`, with codings, gaps and tilts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.errors import FormatError
from understudy.synthesizers.tabular.autoregressive.coding import Coding
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.forward import checked
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.autoregressive.tokens import sizes_of
from understudy.synthesizers.tabular.axis_files import Arrays
from understudy.synthesizers.tabular.neural.folder import (
    Contents,
    read_folder,
    whole_or_error,
    write_folder,
)

FORMAT = 2
"""1 kept codings and axes in one place."""


def save(model: AutoregressiveModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    drawing = model.drawing
    arrays: Arrays = {}
    for i, coding in enumerate(drawing.codings.values()):
        arrays[f"{i}/group"], arrays[f"{i}/shares"] = coding.group, coding.shares
    for i, name in enumerate(drawing.tilts):
        arrays[f"tilt/{i}"] = drawing.tilts[name]
    for (one, other), open_ in drawing.gaps.items():
        if one < other:
            arrays[f"gap/{one}/{other}"] = open_
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "private": model.private,
        "config": asdict(model.config),
        "rows": model.rows,
        "order": list(drawing.order),
        "tilted": list(drawing.tilts),
        "staged": [name for name, coding in drawing.codings.items() if coding.staged],
    }
    axes = {name: coding.axis for name, coding in drawing.codings.items()}
    write_folder(path, Contents(card, model.assembly, axes, drawing.forward.weights, arrays))


def load(path: Path) -> AutoregressiveModel:
    """The model that `save` wrote to `path`; `FormatError` for newer, changed or lost files."""
    from understudy.synthesizers.tabular.autoregressive.engine import AutoregressiveSynthesizer

    path = Path(path)
    with whole_or_error(path):
        found = read_folder(path, FORMAT)
        card, arrays = found.card, found.arrays
        codings = {name: _coding(i, found, name, path) for i, name in enumerate(found.axes)}
        forward = checked(sizes_of(codings), found.network)
        order = tuple(card["order"])
        if set(order) != set(codings):
            raise FormatError(f"the model in {path} is damaged: its order is not of its columns.")
        tilts = {name: arrays[f"tilt/{i}"] for i, name in enumerate(card["tilted"])}
        return AutoregressiveModel(
            config=AutoregressiveSynthesizer(**card["config"]),
            rows=card["rows"],
            assembly=found.assembly,
            drawing=Drawing(forward, codings, order, gaps_in(arrays), tilts),
            private=card["private"],
        )


def gaps_in(arrays: Mapping[str, NDArray[Any]]) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """The gaps among a folder's arrays, in both orders."""
    gaps: dict[tuple[int, int], NDArray[np.bool_]] = {}
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
