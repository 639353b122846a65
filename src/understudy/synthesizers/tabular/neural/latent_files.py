"""Models of latent states on disk: the folder of `neural.folder`, with modes and gaps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from understudy.errors import EngineError, FormatError
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
from understudy.synthesizers.tabular.neural.latent_model import LatentModel
from understudy.synthesizers.tabular.neural.modes import Modes

FORMAT = 1
Found = TypeVar("Found", bound=LatentModel)


def save(model: LatentModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    codings = model.drawing.codings
    arrays: Arrays = {**codings_out(codings), **gaps_out(model.drawing.gaps)}
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "private": model.private,
        "config": asdict(model.config),
        "rows": model.rows,
        "staged": [name for name, coding in codings.items() if coding.staged],
    }
    axes = {name: coding.axis for name, coding in codings.items()}
    write_folder(path, Contents(card, model.assembly, axes, model.arrays, arrays))


def load(cls: type[Found], path: Path) -> Found:
    """The model that `save` wrote to `path`; `FormatError` for newer, changed or lost files."""
    path = Path(path)
    with whole_or_error(path):
        found = read_folder(path, FORMAT)
        if found.card["engine"] != cls.engine:
            raise FormatError(f"{path} holds a model of the engine {found.card['engine']!r}.")
        try:
            config = cls.configured(found.card["config"])
        except EngineError as error:
            raise FormatError(f"the model in {path} is damaged: {error}") from None
        modes = Modes(codings_in(found, path))
        return cls(
            config=config,
            rows=found.card["rows"],
            assembly=found.assembly,
            drawing=cls.made_of(modes, found.network, gaps_in(found.arrays)),
            arrays=found.network,
            private=found.card["private"],
        )
