"""The marginal model on disk: JSON for what it is, safetensors for arrays, Parquet for labels.

    model.json           format, engine, configuration, schema, axes and the network's structure
    arrays.safetensors   tables of the network, starts of runs on number lines
    types.parquet        no rows: the source's Arrow types
    model_types.parquet  no rows: the types of model space
    labels/<i>.parquet   known labels of column i
    identifiers.parquet  real identifiers, in models without a budget only
    space/*.parquet      tables of the constraints

Nothing here runs code when read. A newer format is refused.
"""

from __future__ import annotations

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
from understudy.synthesizers.tabular.axis_files import Arrays, axis_in, axis_out
from understudy.synthesizers.tabular.marginals.model import MarginalModel
from understudy.synthesizers.tabular.marginals.network import Network, Node

FORMAT = 1
STAMP = "INTERNAL, NOT PRIVATE: fitted without noise, or with noise from a known seed."


def save(model: MarginalModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    with whole_folder(Path(path)) as building:
        _fill(model, building)


def _fill(model: MarginalModel, building: Path) -> None:
    from safetensors.numpy import save_file

    (building / "labels").mkdir()
    (building / "space").mkdir()
    arrays: Arrays = {"shares": model.network.shares, "of_code": model.network.of_code}
    axes = [axis_out(i, a, arrays, building) for i, a in enumerate(model.axes.values())]
    nodes = [_node_out(i, n, arrays) for i, n in enumerate(model.network.nodes.values())]
    card = {
        "format": FORMAT,
        "engine": model.engine,
        "private": model.private,
        **({} if model.private else {"stamp": STAMP}),
        "config": asdict(model.config),
        "rows": model.rows,
        "target": model.network.target,
        "schema": model.schema.model_dump(mode="json"),
        "model_spec": model.model_spec.model_dump(mode="json"),
        "space": model.space.to_json(),
        "axes": dict(zip(model.axes, axes, strict=True)),
        "nodes": dict(zip(model.network.nodes, nodes, strict=True)),
    }
    pq.write_table(model.types.empty_table(), building / "types.parquet")
    pq.write_table(model.model_types.empty_table(), building / "model_types.parquet")
    if model.identifiers is not None:
        pq.write_table(model.identifiers, building / "identifiers.parquet")
    for name, table in model.space.tables().items():
        pq.write_table(table, building / "space" / f"{name}.parquet")
    save_file(
        {k: np.ascontiguousarray(v) for k, v in arrays.items()}, building / "arrays.safetensors"
    )
    (building / "model.json").write_text(json.dumps(card, indent=1, ensure_ascii=False))


def load(path: Path) -> MarginalModel:
    """The model that `save` wrote to `path`."""
    from safetensors.numpy import load_file

    from understudy.synthesizers.tabular.marginals.engine import MarginalSynthesizer

    path = Path(path)
    try:
        card = json.loads((path / "model.json").read_text())
        if card["format"] > FORMAT:
            raise FormatError(
                f"{path} has format {card['format']}, this version reads up to {FORMAT}. "
                "Upgrade understudy."
            )
        arrays: Arrays = load_file(path / "arrays.safetensors")
        tables = {f.stem: pq.read_table(f) for f in sorted((path / "space").glob("*.parquet"))}
        known = path / "identifiers.parquet"
        model_types = pq.read_schema(path / "model_types.parquet").remove_metadata()
        nodes = {n: _node_in(i, c, arrays) for i, (n, c) in enumerate(card["nodes"].items())}
        return MarginalModel(
            config=MarginalSynthesizer(**card["config"]),
            schema=Schema.model_validate(card["schema"]),
            types=pq.read_schema(path / "types.parquet").remove_metadata(),
            rows=card["rows"],
            space=Reparametrisation.from_json(card["space"], tables),
            model_spec=TypeAdapter(Table).validate_python(card["model_spec"]),
            model_types=model_types,
            axes={
                n: axis_in(i, n, c, arrays, model_types, path)
                for i, (n, c) in enumerate(card["axes"].items())
            },
            network=Network(card["target"], arrays["of_code"], arrays["shares"], nodes),
            private=card["private"],
            identifiers=pq.read_table(known) if known.exists() else None,
        )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise FormatError(f"the model in {path} is damaged: {error}") from error


def _node_out(i: int, node: Node, arrays: Arrays) -> dict[str, Any]:
    arrays[f"node/{i}/groups"], arrays[f"node/{i}/table"] = node.groups, node.table
    arrays[f"node/{i}/codes"] = node.codes
    return {"parents": list(node.parents)}


def _node_in(i: int, card: Mapping[str, Any], arrays: Arrays) -> Node:
    at = f"node/{i}"
    return Node(
        tuple(card["parents"]),
        arrays[f"{at}/groups"],
        arrays[f"{at}/table"],
        arrays[f"{at}/codes"],
    )
