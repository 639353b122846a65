"""A training on disk: network, optimizer, what was drawn and seen. No generator's state.

With the state of a generator on disk the noise could be made again and subtracted; without it a
resumed training draws fresh noise, and the steps it has drawn are counted elsewhere (`journal`).
The file is safetensors, written whole before it takes its place, and says which training it is of.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.errors import FormatError
from understudy.privacy.dpsgd.plan import PrivacyPlan

FORMAT = 1


@dataclass(frozen=True)
class State:
    """All it takes to go on. `name` is the paid training's, `observed` the canaries' steps."""

    plan: PrivacyPlan
    name: int
    drawn: int
    module: dict[str, Tensor]
    optimizer: dict[str, Any]
    observed: int
    canaries: dict[str, NDArray[Any]]


def save(path: Path, state: State) -> None:
    from safetensors.torch import save as dump

    tensors = {f"module.{name}": value for name, value in state.module.items()}
    tensors |= {f"canaries.{name}": torch.from_numpy(v) for name, v in state.canaries.items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, kept in state.optimizer["state"].items():
        for name, value in kept.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    told = {
        "format": FORMAT,
        "training": _identity(state),
        "drawn": state.drawn,
        "observed": state.observed,
        "groups": state.optimizer["param_groups"],
        "plain": plain,
    }
    # Clones, as safetensors refuses tensors that share memory (tied weights).
    whole = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    content = dump(whole, metadata={"understudy": json.dumps(told)})
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def load(path: Path, expected: State) -> State:
    """The state in `path`; `FormatError` unless it is one of the training that `expected` is of."""
    tensors, told = _read(path)
    if told.get("format") != FORMAT:
        raise FormatError(
            f"{path} is a checkpoint of format {told.get('format')!r}, this version of understudy "
            f"knows {FORMAT}. Update understudy, or start a new run."
        )
    if told["training"] != _identity(expected):
        raise FormatError(
            f"{path} is a checkpoint of another training: it was made with {told['training']}, "
            f"now it is {_identity(expected)}. Go on with the settings and the run folder that it "
            "was made with, or start a new run."
        )
    optimizer: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in told["plain"].items()}
    for name, value in _under("optimizer.", tensors).items():
        index, _, field = name.partition(".")
        optimizer.setdefault(int(index), {})[field] = value
    return State(
        expected.plan,
        expected.name,
        told["drawn"],
        _under("module.", tensors),
        {"state": optimizer, "param_groups": [_tuples(group) for group in told["groups"]]},
        told["observed"],
        {name: value.numpy() for name, value in _under("canaries.", tensors).items()},
    )


def _identity(state: State) -> dict[str, Any]:
    return {**asdict(state.plan), "name": state.name}


def _tuples(group: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only; of an optimizer's settings just the parameters are one."""
    return {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["understudy"])
            return {name: file.get_tensor(name) for name in file.keys()}, told  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise FormatError(
            f"the checkpoint {path} cannot be read ({error}). Take an older one; the steps that "
            "were drawn since stay counted."
        ) from None
