"""A model of codes and arrays on disk: JSON, safetensors, and Parquet for labels and types.

    model.json             format, engine, configuration, schema, and what the engine adds
    network.safetensors    the network's weights, by the names of its module
    columns.safetensors    starts of runs on number lines, and what the engine adds
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from understudy.data.writing import whole_folder
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.discrete import Axis
from understudy.errors import FormatError
from understudy.schema import Schema, Table
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.axis_files import Arrays, axis_in, axis_out

CARD = "model.json"
STAMP = "INTERNAL, NOT PRIVATE: fitted without noise, or with noise from a known seed."


@dataclass(frozen=True)
class Contents:
    """What a folder holds. `card` is plain, with at least format, engine, config, rows, private."""

    card: Mapping[str, Any]
    assembly: Assembly
    axes: Mapping[str, Axis]
    network: Mapping[str, np.ndarray[Any, Any]]
    arrays: Mapping[str, np.ndarray[Any, Any]]


def write_folder(path: Path, contents: Contents) -> None:
    """Writes `path` as a whole or not at all."""
    with whole_folder(Path(path)) as building:
        _fill(contents, building)


def _fill(contents: Contents, building: Path) -> None:
    from safetensors.numpy import save_file

    (building / "labels").mkdir()
    (building / "space").mkdir()
    assembly = contents.assembly
    arrays: Arrays = dict(contents.arrays)
    axes = {
        name: axis_out(i, axis, arrays, building)
        for i, (name, axis) in enumerate(contents.axes.items())
    }
    pq.write_table(assembly.types.empty_table(), building / "types.parquet")
    pq.write_table(assembly.learnt_types.empty_table(), building / "learnt_types.parquet")
    if assembly.identifiers is not None:
        pq.write_table(assembly.identifiers, building / "identifiers.parquet")
    for name, table in assembly.space.tables().items():
        pq.write_table(table, building / "space" / f"{name}.parquet")
    save_file(_contiguous(contents.network), building / "network.safetensors")
    save_file(_contiguous(arrays), building / "columns.safetensors")
    card = {
        **contents.card,
        **({} if contents.card["private"] else {"stamp": STAMP}),
        "schema": assembly.schema.model_dump(mode="json"),
        "learnt_spec": assembly.learnt_spec.model_dump(mode="json"),
        "space": assembly.space.to_json(),
        "columns": axes,
        "files": _digests(building),
    }
    (building / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False))


def read_folder(path: Path, format: int) -> Contents:
    """What `write_folder` wrote to `path`; call it within `whole_or_error`."""
    from safetensors.numpy import load_file

    card = json.loads((path / CARD).read_text())
    if card["format"] > format:
        raise FormatError(
            f"{path} has format {card['format']}, this version reads up to {format}. "
            "Upgrade understudy."
        )
    if card["format"] < format:
        raise FormatError(
            f"{path} has format {card['format']}, this version reads {format}. Fit it again."
        )
    _check_whole(path, card["files"])
    arrays: Arrays = load_file(path / "columns.safetensors")
    tables = {f.stem: pq.read_table(f) for f in sorted((path / "space").glob("*.parquet"))}
    identifiers = path / "identifiers.parquet"
    learnt_types = pq.read_schema(path / "learnt_types.parquet").remove_metadata()
    axes = {
        name: axis_in(i, name, told, arrays, learnt_types, path)
        for i, (name, told) in enumerate(card["columns"].items())
    }
    assembly = Assembly(
        schema=Schema.model_validate(card["schema"]),
        types=pq.read_schema(path / "types.parquet").remove_metadata(),
        space=Reparametrisation.from_json(card["space"], tables),
        learnt_spec=TypeAdapter(Table).validate_python(card["learnt_spec"]),
        learnt_types=learnt_types,
        identifiers=pq.read_table(identifiers) if identifiers.exists() else None,
    )
    return Contents(card, assembly, axes, load_file(path / "network.safetensors"), arrays)


@contextmanager
def whole_or_error(path: Path) -> Iterator[None]:
    """Whatever a folder that was lost, cut or changed raises, as a `FormatError` that says so."""
    from safetensors import SafetensorError

    try:
        yield
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
