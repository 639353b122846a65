"""The mixed-type diffusion engine: rows from noise, numbers and labels side by side.

Numbers become normal scores along their column's own quantile line and are denoised as in EDM;
labels, missing cells and values that very many rows share become tokens that are hidden and drawn
again, as in masked diffusion (TabDiff, Shi et al., ICLR 2025, written from the paper). One time
serves a whole row. Sampling, conditions on any columns, balance, imputation and scores for attacks
come from the one fit.

    model = TabDiffSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Under a budget the columns are bought through the private door and the network is trained by DP-SGD.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from understudy.data import Dataset
from understudy.errors import EngineError
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.schema import Table
from understudy.synthesizers.tabular.neural.engine import NeuralSynthesizer
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.tabdiff.learning import learn_openly, learn_privately
from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel
from understudy.synthesizers.tabular.tabdiff.presets import Preset, PresetName

CHANGED = ("dim", "width", "depth", "rate", "steps", "patience", "sampler_steps", "learnt")
"""What of a preset a configuration can change."""


@dataclass(frozen=True, kw_only=True)
class TabDiffSynthesizer(NeuralSynthesizer[TabDiffModel]):
    """Configuration of the engine; every field is public and printed in the certificate.

    `preset` is `cpu`, `gpu`, or `auto` by the device (see `presets`); None elsewhere takes the
    preset's, or `presets.PRIVATE`'s under a budget. `steps`, `epochs` (which goes before steps),
    `batch` and `patience` are for fits without a budget; with a patience of 0 nothing is held out
    and training goes on to its end, as nobody should. `learnt` schedules have parameters, which
    a budget does not allow. `device` is torch's name of one, `auto` takes a GPU where there is one.
    """

    target: str | None = None
    seed: int = 0
    preset: PresetName = "auto"
    dim: int | None = None
    width: int | None = None
    depth: int | None = None
    rate: float | None = None
    steps: int | None = None
    epochs: int | None = None
    batch: int | None = None
    patience: int | None = None
    sampler_steps: int | None = None
    learnt: bool | None = None
    threads: int = 1
    device: str = "auto"

    private = True
    engine = "tabdiff"

    def __post_init__(self) -> None:
        if self.preset not in ("auto", "cpu", "gpu"):
            raise EngineError(
                f"the tabdiff engine has no preset {self.preset!r}. Take 'cpu', 'gpu' or 'auto'."
            )

    def preset_with(self, default: Preset) -> Preset:
        """`default` with what is set here in its place."""
        asked = {name: getattr(self, name) for name in CHANGED}
        return replace(default, **{k: v for k, v in asked.items() if v is not None})

    def learn_openly(self, dataset: Dataset, spec: Table, progress: Progress) -> Learnt:
        return learn_openly(self, dataset, spec, progress)

    def learn_privately(
        self, dataset: Dataset, spec: Table, session: Session, progress: Progress
    ) -> Learnt:
        return learn_privately(self, dataset, spec, session, progress)

    @classmethod
    def model_class(cls) -> type[TabDiffModel]:
        return TabDiffModel
