"""Models that are trees of frozen dataclasses, on disk without pickle.

    model.json           the tree: names of classes, plain values, places of what is not plain
    arrays.safetensors   NumPy arrays; the Arrow types as a serialised schema
    values.parquet       one row; a list column for each Arrow array

Only classes that the reader names are ever built, by their own constructors (or their `from_json`,
where they have `to_json` and `tables`). Fields whose names
begin with an underscore are caches and stay behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from understudy.data.writing import whole_folder
from understudy.errors import FormatError

STAMP = "INTERNAL: this model holds values of training rows. It must not leave with the data."


def save(tree: Any, folder: Path, card: Mapping[str, Any], *, internal: bool = True) -> None:
    """Writes `folder` as a whole or not at all; `card` (with its "format") goes into the JSON.

    `internal` models hold values of training rows and say so.
    """
    from safetensors.numpy import save_file

    writer = _Writer()
    root = writer.out(tree)
    with whole_folder(Path(folder)) as building:
        arrays = {str(i): np.ascontiguousarray(a) for i, a in enumerate(writer.arrays)}
        types = pa.schema([(str(i), kind) for i, kind in enumerate(writer.types)])
        # Not Parquet: it has no seconds, and would hand back milliseconds.
        arrays["types"] = np.frombuffer(types.serialize(), np.uint8)
        save_file(arrays, building / "arrays.safetensors")
        pq.write_table(_one_row(writer.values), building / "values.parquet")
        stamp = {"stamp": STAMP} if internal else {}
        text = json.dumps({**card, **stamp, "tree": root}, ensure_ascii=False)
        (building / "model.json").write_text(text)


def load(folder: Path, classes: Sequence[type], newest: int) -> tuple[Any, dict[str, Any]]:
    """The tree that `save` wrote and its card; `FormatError` if damaged or newer than `newest`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    try:
        card = json.loads((folder / "model.json").read_text())
        if card["format"] > newest:
            raise FormatError(
                f"{folder} has format {card['format']}, this version reads up to {newest}. "
                "Upgrade understudy."
            )
        arrays = load_file(folder / "arrays.safetensors")
        reader = _Reader(
            {c.__name__: c for c in classes},
            arrays,
            pq.read_table(folder / "values.parquet"),
            pa.ipc.read_schema(pa.py_buffer(arrays.pop("types").tobytes())),
        )
        return reader.back(card.pop("tree")), card
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        pa.ArrowException,
        SafetensorError,
    ) as error:
        raise FormatError(f"the model in {folder} is damaged: {error}") from error


class _Writer:
    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.values: list[pa.Array] = []
        self.types: list[pa.DataType] = []

    def out(self, thing: Any) -> Any:
        """JSON for `thing`; what JSON cannot hold is put aside."""
        match thing:
            case None | bool() | int() | float() | str():
                return thing
            case np.generic():
                return thing.item()
            case np.ndarray():
                return {"array": _placed(self.arrays, thing)}
            case pa.DataType():
                return {"type": _placed(self.types, thing)}
            case pa.Schema():
                return {"schema": [[f.name, self.out(f.type), f.nullable] for f in thing]}
            case pa.ChunkedArray():
                return {"chunked": self.out(thing.combine_chunks())}
            case pa.Array():
                # The type stands beside the values: Parquet widens some.
                place = _placed(self.values, thing)
                return {"values": place, "of": self.out(thing.type)}
            case pa.Table():
                columns = [self.out(column) for column in thing.columns]
                return {"table": columns, "as": self.out(thing.schema)}
            case Mapping():
                return {"map": [[self.out(k), self.out(v)] for k, v in thing.items()]}
            case frozenset():
                return {"set": [self.out(item) for item in sorted(thing)]}
            case tuple() | list():
                return {"tuple": [self.out(item) for item in thing]}
            case BaseModel():
                return {"is": type(thing).__name__, "model": thing.model_dump(mode="json")}
        if hasattr(thing, "to_json"):
            tables = {name: self.out(table) for name, table in thing.tables().items()}
            return {"is": type(thing).__name__, "json": thing.to_json(), "tables": tables}
        if is_dataclass(thing):
            kept = {
                f.name: self.out(getattr(thing, f.name))
                for f in fields(thing)
                if not f.name.startswith("_")
            }
            return {"is": type(thing).__name__, "fields": kept}
        raise TypeError(f"a model cannot hold a {type(thing).__name__}")


class _Reader:
    def __init__(
        self,
        classes: Mapping[str, type],
        arrays: Mapping[str, np.ndarray[Any, Any]],
        values: pa.Table,
        types: pa.Schema,
    ) -> None:
        self.classes, self.arrays, self.values, self.types = classes, arrays, values, types

    def back(self, card: Any) -> Any:
        """What `_Writer.out` was given."""
        match card:
            case {"array": place}:
                return self.arrays[str(place)]
            case {"type": place}:
                return self.types.field(str(place)).type
            case {"schema": parts}:
                return pa.schema([pa.field(n, self.back(kind), null) for n, kind, null in parts])
            case {"chunked": whole}:
                return pa.chunked_array([self.back(whole)])
            case {"values": place, "of": kind}:
                found, wanted = self.values[str(place)].chunk(0).values, self.back(kind)
                nothing = pa.types.is_null(wanted)
                return pa.nulls(len(found)) if nothing else found.cast(wanted)
            case {"table": columns, "as": schema}:
                return pa.table([self.back(c) for c in columns], schema=self.back(schema))
            case {"map": pairs}:
                return {self.back(key): self.back(value) for key, value in pairs}
            case {"set": items}:
                return frozenset(self.back(item) for item in items)
            case {"tuple": items}:
                return tuple(self.back(item) for item in items)
            case {"is": name, "model": content}:
                return self.classes[name](**content)
            case {"is": name, "json": content, "tables": tables}:
                known: Any = self.classes[name]
                return known.from_json(content, {k: self.back(t) for k, t in tables.items()})
            case {"is": name, "fields": content}:
                return self.classes[name](**{k: self.back(v) for k, v in content.items()})
        return card


def _placed(shelf: list[Any], thing: Any) -> int:
    shelf.append(thing)
    return len(shelf) - 1


def _one_row(values: Sequence[pa.Array]) -> pa.Table:
    lists = [pa.ListArray.from_arrays(pa.array([0, len(v)], pa.int32()), _plain(v)) for v in values]
    return pa.table(lists, names=[str(i) for i in range(len(lists))])


def _plain(values: pa.Array) -> pa.Array:
    """Parquet has no type for nothing."""
    return values.cast(pa.int8()) if pa.types.is_null(values.type) else values
