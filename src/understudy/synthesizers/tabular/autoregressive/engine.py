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

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.encoding.discrete import LabelAxis
from understudy.errors import ColumnError, EngineError, MissingExtraError
from understudy.privacy.session import Session
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.schema import Schema, Table
from understudy.synthesizers.tabular.assembly import Assembly
from understudy.synthesizers.tabular.autoregressive.coding import Coding
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing, Tokens, places_of
from understudy.synthesizers.tabular.autoregressive.forward import Forward
from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel
from understudy.synthesizers.tabular.autoregressive.reading import read_codings
from understudy.synthesizers.tabular.marginals.shape import Shape

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.autoregressive.network import Network

LABELS = 200
"""Columns with more labels are told in two stages."""


@dataclass(frozen=True, kw_only=True)
class AutoregressiveSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `bins` codes cut a number line, `dim` numbers embed a code, the trunk has `depth` residual
    blocks of `width`; `rate` is Adam's, `batch` rows make a step (None: a 64th of the table,
    within 32 and 1,024). `device` is torch's name of one, `auto` takes a GPU where there is one.
    """

    target: str | None = None
    seed: int = 0
    bins: int = 100
    dim: int = 16
    width: int = 256
    depth: int = 2
    epochs: int = 30
    batch: int | None = None
    rate: float = 3e-3
    threads: int = 1
    device: str = "auto"

    private = True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> AutoregressiveSynthesizer:
        known = {field.name for field in fields(self)}
        for name in params:
            if name not in known:
                raise EngineError(
                    f"the autoregressive engine has no parameter {name!r}: {sorted(known)}"
                )
        return replace(self, **params)

    def fit(
        self, data: Any, *, privacy: Session | None = None, progress: Progress = silent
    ) -> AutoregressiveModel:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        Raises `MissingExtraError` without torch, `EngineError` for several tables or a training
        that fails, `ColumnError` for a target that cannot be one.
        """
        _require_torch()
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = self._check(dataset.schema)
        if dataset.table.num_rows == 0:
            raise EngineError(f"table {spec.name!r} has no rows to learn from.")
        shape = Shape.of_data(dataset.table, spec)
        table = shape.forward(dataset.table)
        codings = read_codings(table, shape.spec.learnt, shape.known, self.bins, LABELS)
        _tell_staged(codings, progress)
        codes = encoded(table, codings)
        order = self._order(codings)
        weights = self._trained(codes, codings, order, progress)
        return self._model(
            dataset,
            shape,
            Drawing(Forward(sizes_of(codings), weights), codings, order),
            rows=table.num_rows,
            private=False,
            to_frame=None
            if isinstance(data, (Dataset, str, Path))
            else lambda made: like(made, data),
        )

    @staticmethod
    def load(path: Path) -> AutoregressiveModel:
        """A model that `AutoregressiveModel.save` wrote."""
        return AutoregressiveModel.load(path)

    def _check(self, schema: Schema) -> Table:
        if len(schema.tables) != 1:
            names = ", ".join(t.name for t in schema.tables)
            raise EngineError(
                f"the autoregressive engine takes one table, this dataset has several: {names}."
            )
        spec = schema.table()
        if not spec.learnt:
            raise EngineError(
                f"table {spec.name!r} has no column to learn: all are identifiers or text."
            )
        if self.target is None:
            return spec
        column = spec.column(self.target)
        if column.kind in ("identifier", "text"):
            raise ColumnError(
                f"column {self.target!r} is {column.kind} ({column.why or 'by its kind'}) and "
                "cannot be the target. Name a column to predict, or change its kind in the plan."
            )
        return spec

    def _order(self, codings: Mapping[str, Coding]) -> tuple[str, ...]:
        """The table's own order, the target last: it is then drawn from all that is known."""
        names = [name for name in codings if name != self.target]
        return (*names, self.target) if self.target in codings else tuple(names)  # type: ignore[return-value]

    def _trained(
        self,
        codes: Tokens,
        codings: Mapping[str, Coding],
        order: tuple[str, ...],
        progress: Progress,
    ) -> dict[str, np.ndarray[Any, Any]]:
        import torch

        from understudy.synthesizers.tabular.autoregressive.training import Schedule, train

        with _torch_as(self.threads, self.seed):
            network = self._network(codings, len(codes)).to(device_of(self.device))
            masks = masks_of(codings, order)
            schedule = Schedule(self.epochs, self.batch, self.rate, self.seed)
            train(network, torch.from_numpy(codes), masks, schedule, progress)
            return weights_of(network)

    def _network(self, codings: Mapping[str, Coding], rows: float) -> Network:
        from understudy.synthesizers.tabular.autoregressive.network import Network

        network = Network(sizes_of(codings), self.dim, self.width, self.depth)
        network.start_at(shares_of(codings), rows)
        return network

    def _model(
        self, dataset: Dataset, shape: Shape, drawing: Drawing, rows: int, private: bool, to_frame: Any
    ) -> AutoregressiveModel:
        identifiers = [c.name for c in dataset.schema.table().of_kind("identifier")]
        assembly = Assembly(
            schema=dataset.schema,
            types=dataset.table.schema.remove_metadata(),
            space=shape.space,
            learnt_spec=shape.spec,
            learnt_types=shape.types,
            identifiers=None if shape.robust else dataset.table.select(identifiers),
        )
        return AutoregressiveModel(self, rows, assembly, drawing, private, to_frame)


def encoded(table: pa.Table, codings: Mapping[str, Coding]) -> Tokens:
    """int64 [rows, tokens]."""
    return np.stack(
        [codes for name, coding in codings.items() for codes in coding.encode(table[name])], axis=1
    ).astype(np.int64)


def sizes_of(codings: Mapping[str, Coding]) -> tuple[int, ...]:
    """Codes of each token."""
    return tuple(size for coding in codings.values() for size in coding.sizes)


def shares_of(codings: Mapping[str, Coding]) -> list[Any]:
    """Each token's shares of its codes, as far as they are known before training."""
    found = []
    for coding in codings.values():
        found.append(coding.margin)
        if coding.staged:
            found.append(coding.margin @ coding.inner)
    return found


def masks_of(codings: Mapping[str, Coding], order: tuple[str, ...]) -> Any:
    from understudy.synthesizers.tabular.autoregressive.masks import Masks

    places = places_of(codings)
    leader = [tokens[0] for tokens in places.values() for _ in tokens]
    return Masks([token for name in order for token in places[name]], leader)


def device_of(name: str) -> str:
    """torch's name of the device to train on."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def weights_of(network: Network) -> dict[str, np.ndarray[Any, Any]]:
    """The network's parameters as float32 arrays, by name."""
    return {
        name: value.detach().cpu().float().numpy().copy()
        for name, value in network.state_dict().items()
    }


@contextmanager
def _torch_as(threads: int, seed: int) -> Iterator[None]:
    """Torch with so many threads, and its generator at a seed; both are put back."""
    import torch

    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError.of("the autoregressive engine", "deep") from None


def _tell_staged(codings: Mapping[str, Coding], progress: Progress) -> None:
    for name, coding in codings.items():
        if coding.staged and isinstance(coding.axis, LabelAxis):
            labels = len(coding.axis.values)
            note = f"column {name!r} has {labels:,} labels: learnt in two stages"
            progress(ProgressEvent("fit", 0, 0, note))
