"""The variational autoencoder engine (TVAE), written from the paper, Xu et al. 2019, *Modeling
tabular data using conditional GAN*, section 4.4, with what it leaves on the table.

A latent is drawn, and all columns from it. As in the paper the rows go through mode-specific
normalisation, an encoder, and a decoder with a learnt spread for every scalar. Labels are sampled
from the decoder's softmax and never its likeliest (which loses the rare ones); training stops on
held-out rows; latents are drawn from a mixture of normals fitted to those of the rows, so that the
divergence may weigh little; columns are set right afterwards (see `neural.setting_right`).

    model = TvaeSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})

Under a budget the modes are bought through the private door and encoder and decoder are trained by
DP-SGD on each row's evidence lower bound; latents then come from the standard normal.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.data import Dataset
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress
from understudy.schema import Table
from understudy.synthesizers.tabular.neural.engine import NeuralSynthesizer
from understudy.synthesizers.tabular.neural.learnt import Learnt
from understudy.synthesizers.tabular.tvae.model import TvaeModel


@dataclass(frozen=True, kw_only=True)
class TvaeSynthesizer(NeuralSynthesizer[TvaeModel]):
    """Configuration of the engine; every field is public and printed in the certificate.

    `modes` runs cut a number line, a latent has `latent` numbers, encoder and decoder have `depth`
    hidden layers of `width`, `divergence` is the weight of the latents' divergence in the loss,
    `parts` how many normals the latents' mixture has, `rate` is Adam's; None takes what measured
    best (`learning.OPEN`, or `PRIVATE` under a budget, where there is no mixture). `epochs`,
    `patience` and `batch` are for fits without a budget: a tenth of the rows is held out, and
    training ends after `patience` epochs in which they gain nothing (0: all rows, all epochs,
    which learns rows by heart); a batch of None is a 32nd of the table, within 32 and 1,024. All
    columns are drawn at once, so `target` only has to be a column that can be one; under a budget
    its loss counts three times. `device` is torch's name of one, `auto` takes a GPU where there is
    one.
    """

    target: str | None = None
    seed: int = 0
    modes: int | None = None
    latent: int | None = None
    width: int | None = None
    depth: int | None = None
    divergence: float | None = None
    parts: int | None = None
    rate: float | None = None
    epochs: int = 80
    patience: int = 5
    batch: int | None = None
    threads: int = 1
    device: str = "auto"

    private = True
    engine = "tvae"

    def learn_openly(self, dataset: Dataset, spec: Table, progress: Progress) -> Learnt:
        from understudy.synthesizers.tabular.tvae.learning import learn_openly

        return learn_openly(self, dataset, spec, progress)

    def learn_privately(
        self, dataset: Dataset, spec: Table, session: Session, progress: Progress
    ) -> Learnt:
        from understudy.synthesizers.tabular.tvae.learning import learn_privately

        return learn_privately(self, dataset, spec, session, progress)

    @classmethod
    def model_class(cls) -> type[TvaeModel]:
        return TvaeModel
