"""The autoregressive model on disk: JSON, safetensors for arrays, Parquet for labels.

    model.json             format, engine, configuration, schema, codings and drawing order
    network.safetensors    the network's weights, by the names of its module
    codings.safetensors    groups and shares of every column, starts of runs on number lines
    types.parquet          no rows: the source's Arrow types
    learnt_types.parquet   no rows: the types of the learnt table
    labels/<i>.parquet     known labels of column i
    identifiers.parquet    real identifiers, in models without a budget only
    space/*.parquet        tables of the constraints

Nothing here runs code when read. A newer format is refused, and so is a file that was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from understudy.data.writing import whole_folder
from understudy.encoding.constraints import Reparametrisation
from understudy.errors import FormatError
from understudy.schema import Schema, Table
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.autoregressive.coding import Coding
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.forward import checked
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.autoregressive.tokens import sizes_of
from understudy.synthesizers.tabular.axis_files import Arrays, axis_in, axis_out

FORMAT = 1
CARD = "model.json"
STAMP = "INTERNAL, NOT PRIVATE: fitted without noise, or with noise from a known seed."


def save(model: AutoregressiveModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    with whole_folder(Path(path)) as building:
        _fill(model, building)


def _fill(model: AutoregressiveModel, building: Path) -> None:
    from safetensors.numpy import save_file

    (building / "labels").mkdir()
    (building / "space").mkdir()
    assembly, drawing = model.assembly, model.drawing
    arrays: Arrays = {}
    codings = {
        name: _coding_out(i, coding, arrays, building)
        for i, (name, coding) in enumerate(drawing.codings.items())
    }
    for i, name in enumerate(drawing.tilts):
        arrays[f"tilt/{i}"] = drawing.tilts[name]
    for (one, other), open_ in drawing.gaps.items():
        if one < other:
            arrays[f"gap/{one}/{other}"] = open_
    pq.write_table(assembly.types.empty_table(), building / "types.parquet")
    pq.write_table(assembly.learnt_types.empty_table(), building / "learnt_types.parquet")
    if assembly.identifiers is not None:
        pq.write_table(assembly.identifiers, building / "identifiers.parquet")
    for name, table in assembly.space.tables().items():
        pq.write_table(table, building / "space" / f"{name}.parquet")
    save_file(_contiguous(drawing.forward.weights), building / "network.safetensors")
    save_file(_contiguous(arrays), building / "codings.safetensors")
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "private": model.private,
        **({} if model.private else {"stamp": STAMP}),
        "config": asdict(model.config),
        "rows": model.rows,
        "order": list(drawing.order),
        "tilted": list(drawing.tilts),
        "schema": assembly.schema.model_dump(mode="json"),
        "learnt_spec": assembly.learnt_spec.model_dump(mode="json"),
        "space": assembly.space.to_json(),
        "codings": codings,
        "files": _digests(building),
    }
    (building / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False))


def load(path: Path) -> AutoregressiveModel:
    """The model that `save` wrote to `path`; `FormatError` for newer, changed or lost files."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from understudy.synthesizers.tabular.autoregressive.engine import AutoregressiveSynthesizer

    path = Path(path)
    try:
        card = json.loads((path / CARD).read_text())
        if card["format"] > FORMAT:
            raise FormatError(
                f"{path} has format {card['format']}, this version reads up to {FORMAT}. "
                "Upgrade understudy."
            )
        _check_whole(path, card["files"])
        arrays: Arrays = load_file(path / "codings.safetensors")
        tables = {f.stem: pq.read_table(f) for f in sorted((path / "space").glob("*.parquet"))}
        identifiers = path / "identifiers.parquet"
        learnt_types = pq.read_schema(path / "learnt_types.parquet").remove_metadata()
        codings = {
            name: _coding_in(i, name, told, arrays, learnt_types, path)
            for i, (name, told) in enumerate(card["codings"].items())
        }
        forward = checked(sizes_of(codings), load_file(path / "network.safetensors"))
        order = tuple(card["order"])
        if set(order) != set(codings):
            raise FormatError(f"the model in {path} is damaged: its order is not of its columns.")
        tilts = {name: arrays[f"tilt/{i}"] for i, name in enumerate(card["tilted"])}
        assembly = Assembly(
            schema=Schema.model_validate(card["schema"]),
            types=pq.read_schema(path / "types.parquet").remove_metadata(),
            space=Reparametrisation.from_json(card["space"], tables),
            learnt_spec=TypeAdapter(Table).validate_python(card["learnt_spec"]),
            learnt_types=learnt_types,
            identifiers=pq.read_table(identifiers) if identifiers.exists() else None,
        )
        return AutoregressiveModel(
            config=AutoregressiveSynthesizer(**card["config"]),
            rows=card["rows"],
            assembly=assembly,
            drawing=Drawing(forward, codings, order, _gaps_in(arrays), tilts),
            private=card["private"],
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, SafetensorError) as error:
        raise FormatError(
            f"the model in {path} is damaged: {error}. Fit it again, or copy the whole folder."
        ) from error


def _contiguous(arrays: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the card, by its place in the folder."""
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != CARD)
    return {
        f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }


def _check_whole(folder: Path, files: Mapping[str, str]) -> None:
    found = _digests(folder)
    wrong = [name for name in files if found.get(name) != files[name]]
    if wrong:
        state = "is missing" if wrong[0] not in found else "was changed or cut short"
        raise FormatError(
            f"the model in {folder} is damaged: {wrong[0]} {state}. Fit it again, or copy the "
            "whole folder."
        )


def _gaps_in(arrays: Arrays) -> dict[tuple[int, int], Any]:
    gaps: dict[tuple[int, int], Any] = {}
    for name, open_ in arrays.items():
        if name.startswith("gap/"):
            one, other = map(int, name.split("/")[1:])
            gaps[one, other], gaps[other, one] = open_, open_.T.copy()
    return gaps


def _coding_out(i: int, coding: Coding, arrays: Arrays, folder: Path) -> dict[str, Any]:
    arrays[f"{i}/group"], arrays[f"{i}/shares"] = coding.group, coding.shares
    return {"staged": coding.staged, **axis_out(i, coding.axis, arrays, folder)}


def _coding_in(
    i: int, name: str, told: Mapping[str, Any], arrays: Arrays, types: pa.Schema, path: Path
) -> Coding:
    axis = axis_in(i, name, told, arrays, types, path)
    coding = Coding(axis, arrays[f"{i}/group"], arrays[f"{i}/shares"], told["staged"])
    if len(coding.group) != axis.size or len(coding.shares) != axis.size:
        raise FormatError(f"the model in {path} is damaged: column {name!r} has other codes.")
    return coding
