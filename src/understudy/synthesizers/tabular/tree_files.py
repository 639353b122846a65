"""The tree model on disk: JSON for what it is, safetensors for arrays, Parquet for values.

    model.json           format, engine, configuration, schema, plan of columns, INTERNAL stamp
    arrays.safetensors   trees, donors, ranks, heads
    types.parquet        no rows: the source's Arrow types
    model_types.parquet  no rows: the types of model space
    levels/<i>.parquet   distinct values of column i, with counts
    identifiers.parquet  real identifiers, so that none is made again
    space/*.parquet      tables of the constraints

Nothing here runs code when read. A newer format is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from understudy.data.writing import whole_folder
from understudy.encoding.columns import Codec, Levels, Ranks
from understudy.encoding.constraints import Reparametrisation
from understudy.errors import FormatError
from understudy.schema import Schema, Table
from understudy.synthesizers.tabular.boosted import ClassHead, Ensemble, GuidedHead, Head
from understudy.synthesizers.tabular.cart import Cart
from understudy.synthesizers.tabular.leaves import Grove, Leaves, Lookup, Way
from understudy.synthesizers.tabular.tree_model import TreeModel

FORMAT = 1
STAMP = "INTERNAL: this model holds values of training rows. It must not leave with the data."
Arrays = dict[str, np.ndarray[Any, Any]]


def save(model: TreeModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    with whole_folder(Path(path)) as building:
        _fill(model, building)


def _fill(model: TreeModel, building: Path) -> None:
    from safetensors.numpy import save_file

    (building / "levels").mkdir()
    (building / "space").mkdir()
    arrays: Arrays = {}
    codecs = [_codec_out(i, c, arrays, building) for i, c in enumerate(model.codecs.values())]
    ways = [_way_out(i, way, arrays) for i, way in enumerate(model.ways.values())]
    for name, position in model.positions.items():
        arrays[f"position/{model.order.index(name)}"] = position
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "stamp": STAMP,
        "config": asdict(replace(model.config, workers=1)),
        "rows": model.rows,
        "order": model.order,
        "schema": model.schema.model_dump(mode="json"),
        "model_spec": model.model_spec.model_dump(mode="json"),
        "space": model.space.to_json(),
        "codecs": codecs,
        "ways": ways,
        "head": _head_out(model.head, arrays),
    }
    pq.write_table(model.types.empty_table(), building / "types.parquet")
    pq.write_table(model.model_types.empty_table(), building / "model_types.parquet")
    pq.write_table(model.identifiers, building / "identifiers.parquet")
    for name, table in model.space.tables().items():
        pq.write_table(table, building / "space" / f"{name}.parquet")
    save_file(
        {k: np.ascontiguousarray(v) for k, v in arrays.items()}, building / "arrays.safetensors"
    )
    (building / "model.json").write_text(json.dumps(card, indent=1, ensure_ascii=False))


def load(path: Path) -> TreeModel:
    """The model that `save` wrote to `path`."""
    from safetensors.numpy import load_file

    from understudy.synthesizers.tabular.tree import TreeSynthesizer

    path = Path(path)
    try:
        card = json.loads((path / "model.json").read_text())
        if card["format"] > FORMAT:
            raise FormatError(
                f"{path} has format {card['format']}, this version reads up to {FORMAT}. "
                "Upgrade understudy."
            )
        arrays: Arrays = load_file(path / "arrays.safetensors")
        order: list[str] = card["order"]
        tables = {f.stem: pq.read_table(f) for f in sorted((path / "space").glob("*.parquet"))}
        codecs = {
            n: _codec_in(i, n, c, arrays, path)
            for i, (n, c) in enumerate(zip(order, card["codecs"], strict=True))
        }
        return TreeModel(
            config=TreeSynthesizer(**card["config"]),
            schema=Schema.model_validate(card["schema"]),
            types=pq.read_schema(path / "types.parquet").remove_metadata(),
            rows=card["rows"],
            space=Reparametrisation.from_json(card["space"], tables),
            model_spec=TypeAdapter(Table).validate_python(card["model_spec"]),
            model_types=pq.read_schema(path / "model_types.parquet").remove_metadata(),
            codecs=codecs,
            positions={n: arrays[f"position/{i}"] for i, n in enumerate(order)},
            ways={
                n: _way_in(i, w, arrays)
                for i, (n, w) in enumerate(zip(order, card["ways"], strict=True))
            },
            head=_head_in(card["head"], arrays),
            identifiers=pq.read_table(path / "identifiers.parquet"),
        )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise FormatError(f"the model in {path} is damaged: {error}") from error


def _codec_out(i: int, codec: Codec, arrays: Arrays, folder: Path) -> dict[str, Any]:
    if isinstance(codec, Levels):
        table = pa.table({"value": codec.values, "count": codec.counts})
        pq.write_table(table, folder / "levels" / f"{i}.parquet")
        return {"kind": "levels"}
    arrays[f"ranks/{i}/values"], arrays[f"ranks/{i}/counts"] = codec.values, codec.counts
    arrays[f"ranks/{i}/heavy"] = codec.heavy
    return {"kind": "ranks", "decimals": codec.decimals}


def _codec_in(i: int, name: str, card: Mapping[str, Any], arrays: Arrays, folder: Path) -> Codec:
    if card["kind"] == "levels":
        table = pq.read_table(folder / "levels" / f"{i}.parquet")
        values = table["value"].combine_chunks()
        return Levels(name, values, table["count"].to_numpy())
    at = f"ranks/{i}"
    return Ranks(
        name,
        arrays[f"{at}/values"],
        arrays[f"{at}/counts"],
        arrays[f"{at}/heavy"],
        card["decimals"],
    )


def _way_out(i: int, way: Way, arrays: Arrays) -> dict[str, Any]:
    if isinstance(way, Lookup):
        arrays[f"way/{i}/table"] = way.table
        return {"kind": "lookup", "by": way.by}
    return _grove_out(f"way/{i}", way, arrays)


def _way_in(i: int, card: Mapping[str, Any], arrays: Arrays) -> Way:
    if card["kind"] == "lookup":
        return Lookup(card["by"], arrays[f"way/{i}/table"])
    return _grove_in(f"way/{i}", card, arrays)


def _grove_out(place: str, grove: Grove, arrays: Arrays) -> dict[str, Any]:
    for k, leaves in enumerate(grove.trees):
        at = f"{place}/{k}"
        _cart_out(at, leaves.tree, arrays)
        arrays[f"{at}/donors"] = leaves.donors
        arrays[f"{at}/starts"], arrays[f"{at}/counts"] = leaves.starts, leaves.counts
    return {"kind": "grove", "trees": len(grove.trees), "width": grove.trees[0].tree.width}


def _grove_in(place: str, card: Mapping[str, Any], arrays: Arrays) -> Grove:
    trees = []
    for k in range(card["trees"]):
        at = f"{place}/{k}"
        trees.append(
            Leaves(
                _cart_in(at, card["width"], arrays),
                arrays[f"{at}/donors"],
                arrays[f"{at}/starts"],
                arrays[f"{at}/counts"],
            )
        )
    return Grove(tuple(trees))


def _cart_out(at: str, tree: Cart, arrays: Arrays) -> None:
    arrays[f"{at}/left"], arrays[f"{at}/right"] = tree.left, tree.right
    arrays[f"{at}/feature"], arrays[f"{at}/threshold"] = tree.feature, tree.threshold


def _cart_in(at: str, width: int, arrays: Arrays) -> Cart:
    left, right = arrays[f"{at}/left"], arrays[f"{at}/right"]
    return Cart(left, right, arrays[f"{at}/feature"], arrays[f"{at}/threshold"], width)


def _head_out(head: Head | None, arrays: Arrays) -> dict[str, Any] | None:
    if head is None:
        return None
    for k, (tree, values) in enumerate(zip(head.ensemble.trees, head.ensemble.values, strict=True)):
        _cart_out(f"head/{k}", tree, arrays)
        arrays[f"head/{k}/values"] = values
    arrays["head/baseline"] = head.ensemble.baseline
    common = {"trees": len(head.ensemble.trees), "width": head.ensemble.trees[0].width}
    if isinstance(head, ClassHead):
        arrays["head/classes"], arrays["head/shares"] = head.classes, head.shares
        return {"kind": "classes", **common}
    return {"kind": "guided", **common, "grove": _grove_out("head/grove", head.grove, arrays)}


def _head_in(card: Mapping[str, Any] | None, arrays: Arrays) -> Head | None:
    if card is None:
        return None
    places = [f"head/{k}" for k in range(card["trees"])]
    ensemble = Ensemble(
        tuple(_cart_in(at, card["width"], arrays) for at in places),
        tuple(arrays[f"{at}/values"] for at in places),
        arrays["head/baseline"],
    )
    if card["kind"] == "classes":
        return ClassHead(ensemble, arrays["head/classes"], arrays["head/shares"])
    return GuidedHead(ensemble, _grove_in("head/grove", card["grove"], arrays))
