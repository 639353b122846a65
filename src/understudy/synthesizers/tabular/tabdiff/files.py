"""The diffusion model on disk: the folder of `neural.folder`, with codings and gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from understudy.errors import FormatError
from understudy.synthesizers.tabular.neural.coding_files import (
    codings_in,
    codings_out,
    gaps_in,
    gaps_out,
)
from understudy.synthesizers.tabular.neural.device import device_of
from understudy.synthesizers.tabular.neural.folder import (
    Contents,
    read_folder,
    whole_or_error,
    write_folder,
)
from understudy.synthesizers.tabular.tabdiff.conditions import Drawing
from understudy.synthesizers.tabular.tabdiff.layout import layout_of
from understudy.synthesizers.tabular.tabdiff.mixed import Columns, Mixed
from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel
from understudy.synthesizers.tabular.tabdiff.network import Network
from understudy.synthesizers.tabular.tabdiff.sampling import Steps

FORMAT = 1


def save(model: TabDiffModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    drawing = model.drawing
    arrays = {**codings_out(model.codings), **gaps_out(drawing.gaps)}
    network = drawing.network
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "private": model.private,
        "config": asdict(model.config),
        "rows": model.rows,
        "steps": asdict(drawing.steps),
        "learnt": network.schedules.learnt,
        "staged": [name for name, column in drawing.columns.items() if column.coding.staged],
        "free": {name: column.free for name, column in drawing.columns.items()},
    }
    axes = {name: column.axis for name, column in drawing.columns.items()}
    write_folder(path, Contents(card, model.assembly, axes, network.arrays(), arrays))


def load(path: Path) -> TabDiffModel:
    """The model that `save` wrote to `path`; `FormatError` for newer, changed or lost files."""
    from understudy.synthesizers.tabular.tabdiff.engine import TabDiffSynthesizer

    path = Path(path)
    with whole_or_error(path):
        found = read_folder(path, FORMAT)
        card = found.card
        config = TabDiffSynthesizer(**card["config"])
        columns = {
            name: Mixed(coding, card["free"][name])
            for name, coding in codings_in(found, path).items()
        }
        network = _network(columns, config.target, found.network, card["learnt"], path)
        return TabDiffModel(
            config=config,
            rows=card["rows"],
            assembly=found.assembly,
            drawing=Drawing(
                network.to(_device(config.device)),
                columns,
                Steps(**card["steps"]),
                gaps_in(found.arrays),
            ),
            private=card["private"],
        )


def _network(
    columns: Columns,
    target: str | None,
    arrays: Mapping[str, NDArray[Any]],
    learnt: bool,
    path: Path,
) -> Network:
    """The network of these arrays; its size is theirs."""
    depth = sum(name.endswith(".outer.weight") for name in arrays)
    dim, width = arrays["embedding.weight"].shape[1], len(arrays["inward.bias"])
    network = Network(layout_of(columns, target), dim, width, depth, learnt)
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise FormatError(f"the model in {path} is damaged: its network has numbers not finite.")
    try:
        network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    except RuntimeError as error:
        raise FormatError(
            f"the model in {path} is damaged: its network does not fit its columns: {error}"
        ) from None
    return network.requires_grad_(False)


def _device(name: str) -> str:
    """Where rows are drawn: a GPU the model was fitted on may not be here."""
    found = device_of(name)
    return found if found == "cpu" or torch.cuda.is_available() else "cpu"
