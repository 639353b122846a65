"""The autoregressive model on disk: the folder of `neural.folder`, with codings, gaps and tilts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from understudy.errors import FormatError
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.forward import checked
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.axis_files import Arrays
from understudy.synthesizers.tabular.neural.coding_files import (
    codings_in,
    codings_out,
    gaps_in,
    gaps_out,
)
from understudy.synthesizers.tabular.neural.folder import (
    Contents,
    read_folder,
    whole_or_error,
    write_folder,
)
from understudy.synthesizers.tabular.neural.tokens import sizes_of

FORMAT = 2
"""1 kept codings and axes in one place."""


def save(model: AutoregressiveModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    drawing = model.drawing
    arrays: Arrays = {**codings_out(drawing.codings), **gaps_out(drawing.gaps)}
    for i, name in enumerate(drawing.tilts):
        arrays[f"tilt/{i}"] = drawing.tilts[name]
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
        codings = codings_in(found, path)
        forward = checked(sizes_of(codings), found.network)
        order = tuple(card["order"])
        if set(order) != set(codings):
            raise FormatError(f"the model in {path} is damaged: its order is not of its columns.")
        tilts = {name: arrays[f"tilt/{i}"] for i, name in enumerate(card["tilted"])}
        return AutoregressiveModel(
            config=AutoregressiveSynthesizer(**card["config"]),
            rows=card["rows"],
            assembly=found.assembly,
            drawing=Drawing(forward, codings, order, gaps_in(found.arrays), tilts),
            private=card["private"],
        )
