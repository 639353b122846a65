"""The any-order autoregressive engine: one network that knows every conditional distribution.

Columns become tokens of at most a hundred codes; a masked network learns each of them given any
subset of the others (the idea of TabularARGN, mostlyai-engine). Sampling, conditions on any
columns, balance, imputation and likelihood come from the one fit. Numbers come back along their
column's own quantile line, missing cells are a code like any other.

    model = AutoregressiveSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Under a budget the codes are bought through the private door and the network is trained by DP-SGD.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.data import Dataset
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.schema import Table
from understudy.synthesizers.tabular.autoregressive.learning import (
    learn_openly,
    learn_privately,
)
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.neural.engine import NeuralSynthesizer
from understudy.synthesizers.tabular.neural.learnt import Learnt


@dataclass(frozen=True, kw_only=True)
class AutoregressiveSynthesizer(NeuralSynthesizer[AutoregressiveModel]):
    """Configuration of the engine; every field is public and printed in the certificate.

    `bins` codes cut a number line, `dim` numbers embed a code, the trunk has `depth` residual
    blocks of `width`, `rate` is Adam's; None takes what measured best (`learning.OPEN`, or
    `PRIVATE` under a budget). `epochs`, `patience` and `batch` are for fits without a budget: a
    tenth of the rows is held out, and training ends after `patience` epochs in which they gain
    nothing (0: all rows, all epochs, which learns rows by heart); a batch of None is a 32nd of
    the table, within 32 and 1,024. `device` is torch's name of one, `auto` takes a GPU
    where there is one.
    """

    target: str | None = None
    seed: int = 0
    bins: int | None = None
    dim: int | None = None
    width: int | None = None
    depth: int | None = None
    rate: float | None = None
    epochs: int = 60
    patience: int = 5
    batch: int | None = None
    threads: int = 1
    device: str = "auto"

    private = True
    engine = "autoregressive"

    def learn_openly(self, dataset: Dataset, spec: Table, progress: Progress) -> Learnt:
        return learn_openly(self, dataset, spec, progress)

    def learn_privately(
        self, dataset: Dataset, spec: Table, session: Session, progress: Progress
    ) -> Learnt:
        return learn_privately(self, dataset, spec, session, progress)

    @classmethod
    def model_class(cls) -> type[AutoregressiveModel]:
        return AutoregressiveModel
