"""Models made of many frozen dataclasses, on disk without a line of code for each.

    model.json          the tree of objects, by class name, with a card in front
    arrays.safetensors  NumPy arrays
    values.parquet      Arrow arrays and types, one row with a list for each
    tables/*.parquet    Arrow tables

Only classes that the reader names are ever built, so nothing in a folder can run code. A newer
format is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from understudy.data.writing import whole_folder
from understudy.errors import FormatError

CARD, ARRAYS, VALUES, TABLES = "model.json", "arrays.safetensors", "values.parquet", "tables"
KIND = "$"
"""The key under which an object of the tree says what it is."""


def save_archive(folder: Path, card: Mapping[str, Any], root: Any) -> None:
    """Writes `folder` as a whole or not at all; `card` has `format` and `engine`."""
    from safetensors.numpy import save_file

    with whole_folder(Path(folder)) as building:
        (building / TABLES).mkdir()
        writer = _Writer(building / TABLES)
        tree = writer.tree(root)
        save_file({k: np.ascontiguousarray(v) for k, v in writer.arrays.items()}, building / ARRAYS)
        pq.write_table(pa.table(writer.values or {"none": pa.nulls(1)}), building / VALUES)
        text = json.dumps({**card, "model": tree}, ensure_ascii=False)
        (building / CARD).write_text(text, encoding="utf-8")


def load_archive(folder: Path, newest: int, classes: Iterable[type]) -> tuple[dict[str, Any], Any]:
    """The card and the object that `save_archive` wrote, of the given `classes` only.

    Raises `FormatError` for a format above `newest` and for anything damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["format"] > newest:
            raise FormatError(
                f"{folder} has format {card['format']}, this version reads up to {newest}. "
                "Upgrade understudy."
            )
        reader = _Reader(
            {cls.__name__: cls for cls in classes},
            load_file(folder / ARRAYS),
            pq.read_table(folder / VALUES),
            folder / TABLES,
        )
        return card, reader.object(card.pop("model"))
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        pa.ArrowException,
        SafetensorError,
    ) as error:
        raise FormatError(f"the model in {folder} is damaged: {error}") from error


@dataclass
class _Writer:
    tables: Path
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    values: dict[str, pa.Array] = field(default_factory=dict)
    written: int = 0

    def tree(self, value: Any) -> Any:
        """`value` as JSON; arrays go to their files and leave their names."""
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            return {KIND: "array", "at": self._kept(self.arrays, value)}
        if isinstance(value, pa.DataType):
            return {KIND: "type", "at": self._kept(self.values, _listed(pa.array([], value)))}
        if isinstance(value, pa.Array):
            return {KIND: "values", "at": self._kept(self.values, _listed(value))}
        if isinstance(value, pa.Table | pa.Schema):
            return self._table(value)
        if isinstance(value, BaseModel):
            plain = value.model_dump(mode="json")
            return {KIND: "model", "class": type(value).__name__, "fields": plain}
        if isinstance(value, tuple | list | frozenset):
            items = sorted(value) if isinstance(value, frozenset) else value
            kind = "set" if isinstance(value, frozenset) else "list"
            return {KIND: kind, "items": [self.tree(item) for item in items]}
        if isinstance(value, Mapping):
            return {KIND: "map", "items": [[k, self.tree(v)] for k, v in value.items()]}
        if hasattr(value, "to_json"):
            kept = {name: self.tree(table) for name, table in value.tables().items()}
            named = {"class": type(value).__name__, "json": value.to_json(), "tables": kept}
            return {KIND: "parts", **named}
        if is_dataclass(value):
            shown = {f.name: self.tree(getattr(value, f.name)) for f in fields(value) if f.repr}
            return {KIND: "object", "class": type(value).__name__, "fields": shown}
        raise TypeError(f"a model may not hold a {type(value).__name__}")

    def _kept(self, where: dict[str, Any], value: Any) -> str:
        name = str(len(where))
        where[name] = value
        return name

    def _table(self, value: pa.Table | pa.Schema) -> dict[str, str]:
        whole = isinstance(value, pa.Table)
        name = str(self.written)
        self.written += 1
        table = value if whole else value.empty_table()
        pq.write_table(table, self.tables / f"{name}.parquet")
        return {KIND: "table" if whole else "schema", "at": name}


@dataclass(frozen=True)
class _Reader:
    classes: Mapping[str, type]
    arrays: Mapping[str, np.ndarray[Any, Any]]
    values: pa.Table
    tables: Path

    def object(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        match tree[KIND]:
            case "array":
                return self.arrays[tree["at"]]
            case "type":
                return self.values.schema.field(tree["at"]).type.value_type
            case "values":
                return self.values[tree["at"]].combine_chunks().flatten()
            case "table":
                return pq.read_table(self._path(tree))
            case "schema":
                return pq.read_schema(self._path(tree)).remove_metadata()
            case "model":
                known: Any = self.classes[tree["class"]]
                return known.model_validate(tree["fields"])
            case "list":
                return tuple(self.object(item) for item in tree["items"])
            case "set":
                return frozenset(self.object(item) for item in tree["items"])
            case "map":
                return {key: self.object(item) for key, item in tree["items"]}
            case "parts":
                tables = {name: self.object(table) for name, table in tree["tables"].items()}
                made: Any = self.classes[tree["class"]]
                return made.from_json(tree["json"], tables)
            case "object":
                shown = {key: self.object(item) for key, item in tree["fields"].items()}
                return self.classes[tree["class"]](**shown)
        raise ValueError(f"unknown kind {tree[KIND]!r}")

    def _path(self, tree: Mapping[str, str]) -> Path:
        return self.tables / f"{int(tree['at'])}.parquet"


def _listed(values: pa.Array) -> pa.Array:
    """An array as one row that lists it."""
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
