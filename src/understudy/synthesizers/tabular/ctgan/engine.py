"""The conditional GAN engine (CTGAN), written from the paper, Xu et al. 2019, *Modeling tabular
data using conditional GAN*, with the known defects of its reference put right.

A generator makes rows from noise and a conditional vector that names one label; a critic tells
them from real rows that hold the label. Rare labels are met often in training and as
often as they occur in what is drawn; a row never depends on those it is drawn with; the generator
kept is an average over steps, of the epoch nearest to rows held out; labels are sampled, never the
likeliest; columns are set right afterwards (see `neural.setting_right`).

    model = CtganSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="income = '>50K'", balance={"sex": "uniform"})

Under a budget the modes are bought through the private door and only the critic sees rows: DP-SGD
trains it, one row at a time, and the generator learns from what it became.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.data import Dataset
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.schema import Table
from understudy.synthesizers.tabular.ctgan.model import CtganModel
from understudy.synthesizers.tabular.neural.engine import NeuralSynthesizer
from understudy.synthesizers.tabular.neural.learnt import Learnt


@dataclass(frozen=True, kw_only=True)
class CtganSynthesizer(NeuralSynthesizer[CtganModel]):
    """Configuration of the engine; every field is public and printed in the certificate.

    `modes` runs cut a number line, the generator takes `noise` numbers and has `depth` blocks of
    `width`, the critic two layers of `critic` and looks at `pac` rows at a time, `rate` is Adam's,
    `matching` the weight of second moments beside the critic (0: the paper's loss); None takes what
    measured best (`learning.OPEN`, or `PRIVATE` under a budget, where `pac` is 1 and nothing is
    matched). `epochs`, `patience` and `batch` are for fits without a budget: the epoch whose rows
    come nearest to a tenth held out is kept, and `patience` epochs without a better one end the
    training (0: all rows, all epochs); a batch of None is 500 rows, or an eighth of a small
    table. All columns are drawn at once, so `target` only has to be a column that can be one.
    `device` is torch's name of one, `auto` takes a GPU where there is one.
    """

    target: str | None = None
    seed: int = 0
    modes: int | None = None
    noise: int | None = None
    width: int | None = None
    depth: int | None = None
    critic: int | None = None
    pac: int | None = None
    rate: float | None = None
    matching: float | None = None
    epochs: int = 40
    patience: int = 40
    batch: int | None = None
    threads: int = 1
    device: str = "auto"

    private = True
    engine = "ctgan"

    def learn_openly(self, dataset: Dataset, spec: Table, progress: Progress) -> Learnt:
        from understudy.synthesizers.tabular.ctgan.learning import learn_openly

        return learn_openly(self, dataset, spec, progress)

    def learn_privately(
        self, dataset: Dataset, spec: Table, session: Session, progress: Progress
    ) -> Learnt:
        from understudy.synthesizers.tabular.ctgan.learning import learn_privately

        return learn_privately(self, dataset, spec, session, progress)

    @classmethod
    def model_class(cls) -> type[CtganModel]:
        return CtganModel
