"""Axes on disk, for every engine that counts codes: JSON, arrays of a shared file, label files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy.encoding.discrete import Axis, GridAxis, LabelAxis, Line

Arrays = dict[str, np.ndarray[Any, Any]]


def axis_out(i: int, axis: Axis, arrays: Arrays, folder: Path) -> dict[str, Any]:
    """What the card tells of column `i`; adds to `arrays`, and to `folder/labels`."""
    if isinstance(axis, LabelAxis):
        pq.write_table(pa.table({"label": axis.values}), folder / "labels" / f"{i}.parquet")
        if axis.shares is not None:
            arrays[f"axis/{i}/shares"] = axis.shares
        return {
            "kind": "labels",
            "other": axis.other,
            "nullable": axis.nullable,
            "ordered": axis.ordered,
        }
    arrays[f"axis/{i}/starts"] = axis.starts
    return {
        "kind": "grid",
        "decimals": axis.line.decimals,
        "power": axis.line.power,
        "every": axis.line.every,
        "last": axis.last,
        "nullable": axis.nullable,
    }


def axis_in(
    i: int, name: str, card: Mapping[str, Any], arrays: Arrays, types: pa.Schema, path: Path
) -> Axis:
    """What `axis_out` wrote; `types` are those of the learnt table."""
    if card["kind"] == "labels":
        values = pq.read_table(path / "labels" / f"{i}.parquet")["label"].combine_chunks()
        shares = arrays.get(f"axis/{i}/shares")
        return LabelAxis(name, values, card["other"], card["nullable"], card["ordered"], shares)
    line = Line(types.field(name).type, card["decimals"], card["power"], card["every"])
    return GridAxis(name, line, arrays[f"axis/{i}/starts"], card["last"], card["nullable"])
