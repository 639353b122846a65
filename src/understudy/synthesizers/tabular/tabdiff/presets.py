"""How large the network is, how long it is trained and in how many steps rows are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class Preset:
    """Numbers of at most `few` values are classes. `dim` numbers embed a class, the trunk has
    `depth` residual blocks of `width`.

    Adam takes at most `steps` of `batch` rows at `rate`, and stops after `patience` epochs without
    a better held-out loss; the scores' share of the loss falls by `fade` on the way. Rows are drawn
    in `sampler_steps`, the last `corrected` by Heun, with `churn` shared among them. `learnt`
    schedules have parameters. `half` trains in bfloat16.
    """

    few: int
    dim: int
    width: int
    depth: int
    rate: float
    steps: int
    batch: int
    patience: int
    sampler_steps: int
    corrected: int
    churn: float
    fade: float
    learnt: bool
    half: bool = False


CPU = Preset(
    few=100,
    dim=16,
    width=256,
    depth=3,
    rate=2e-3,
    steps=4_000,
    batch=512,
    patience=20,
    sampler_steps=20,
    corrected=5,
    churn=0.0,
    fade=0.0,
    learnt=False,
)
"""Measured on Adult; see docs/tabdiff.md."""
GPU = Preset(
    few=100,
    dim=32,
    width=1_024,
    depth=4,
    rate=1e-3,
    steps=64_000,
    batch=4_096,
    patience=500,
    sampler_steps=50,
    corrected=50,
    churn=1.0,
    fade=1.0,
    learnt=True,
    half=True,
)
"""The paper's length, batch, sampler and annealing."""
PRIVATE = Preset(
    few=32,
    dim=8,
    width=128,
    depth=1,
    rate=1e-2,
    steps=0,
    batch=0,
    patience=0,
    sampler_steps=20,
    corrected=5,
    churn=0.0,
    fade=0.0,
    learnt=False,
)
"""Noise falls on every weight, so under a budget there are fewer, and the schedules are fixed.
Steps and batches follow from the budget (`neural.budget`)."""
EMPHASIS = 3.0
"""How often the target's loss counts under a budget, where one clipped gradient serves all."""


def preset(name: PresetName, device: str) -> Preset:
    """The one called `name`; `auto` is by torch's name of the device."""
    if name == "auto":
        return CPU if device == "cpu" else GPU
    return {"cpu": CPU, "gpu": GPU}[name]
