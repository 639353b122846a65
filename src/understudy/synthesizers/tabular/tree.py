"""The tree engine: sequential CART, pruned, with global rank jitter and a boosted target.

Columns are drawn one after the other, each from the leaf of a tree grown on the columns before it
(Reiter 2005, bagged). Categories and rare values come out as often as they went in, because leaves
hold donors and not averages; numbers with many values move along the column's own quantile line,
so that no cell of a person is handed on as it stands. No privacy budget is kept: what protects is
leaf size, pruning, jitter and the audit afterwards.

    model = TreeSynthesizer(target="income").fit(dataset)
    model.sample(10_000, where="age > 60", balance={"income": "uniform"})
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data import Dataset
from understudy.encoding.columns import Codec, Codes, Ranks, fit_codec
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import split_points
from understudy.errors import EngineError
from understudy.runtime.parallel import run_all
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream
from understudy.schema import Table
from understudy.synthesizers.tabular.boosted import MOST_CLASSES, fit_head
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.leaves import Grove, Way, fit_grove
from understudy.synthesizers.tabular.order import by_information, classes_of, dependencies
from understudy.synthesizers.tabular.request import single_table, with_params
from understudy.synthesizers.tabular.tree_model import TreeModel

BOOST_ROWS = 150_000
FEWEST_IN_LEAF = 20
"""What `leaf` may shrink to, so that a rare class of the target keeps leaves of its own."""


@dataclass(frozen=True, kw_only=True)
class TreeSynthesizer:
    """Configuration of the engine; every field is public and printed in the certificate.

    `leaf` and `reach` are the two privacy knobs: fewest training rows in a leaf (fewer, down to 20,
    where the target has a class too rare for it), and how many
    positions in its column's order statistics a number may move (None: one row in 500, at least
    6). Raising either makes rows less like anybody's, at some cost in sharpness.
    """

    target: str | None = None
    seed: int = 0
    trees: int = 3
    leaf: int = 40
    features: float = 0.8
    reach: int | None = None
    grow_rows: int = 150_000
    workers: int = 1

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return asdict(self)

    def set_params(self, **params: Any) -> TreeSynthesizer:
        return with_params(self, params, "tree")

    def fit(self, data: Any, *, privacy: Any = None, progress: Progress = silent) -> TreeModel:
        """Learns one table: a `Dataset`, or any frame or path that `understudy.read` takes.

        Raises `EngineError` when a privacy budget is asked for or there are several tables,
        `ColumnError` for a target that cannot be one, `ConstraintError` when the rows themselves
        break a declared constraint.
        """
        if privacy is not None:
            raise EngineError("the tree engine keeps no privacy budget; it runs without DP only.")
        from understudy.data import like, read

        dataset = data if isinstance(data, Dataset) else read(data)
        spec = single_table(dataset.schema, self.target, "tree")
        if dataset.table.num_rows == 0:
            raise EngineError(f"table {spec.name!r} has no rows to learn from.")
        table = dataset.table
        space = Reparametrisation.fit(table, spec)
        model_table, model_spec = split_points(space.forward(table), space.spec)
        codecs, codes = _encode(model_table, model_spec)
        target = self.target if self.target in codecs else None
        rng = stream(self.seed, "tree", "order")
        order = by_information(codecs, codes, target, rng)
        positions = _positions(model_spec, codecs, codes, order)
        x = _matrix(order, codes, positions, table.num_rows)
        determined = dependencies(order[1:] if target else order, codecs, codes)
        grower = replace(self, leaf=self._leaf_for(codes[target] if target else None))
        ways = grower._grow(order, codecs, codes, x, determined, progress)
        head = None
        if target is not None:
            progress(ProgressEvent("fit", len(order), len(order) + 1, "boosting the target"))
            head = fit_head(
                x[:, 1:],
                codes[target],
                codecs[target],
                numeric=_is_numeric(model_spec, model_table, target),
                grow=grower._leaves_of(codecs[target], stream(self.seed, "tree", "guided")),
                rows=BOOST_ROWS,
                rng=stream(self.seed, "tree", "head"),
            )
        progress(ProgressEvent("fit", len(order) + 1, len(order) + 1, "done"))
        kept = [c.name for c in spec.of_kind("identifier")]
        return TreeModel(
            config=self,
            schema=dataset.schema,
            types=table.schema.remove_metadata(),
            rows=table.num_rows,
            space=space,
            model_spec=model_spec,
            model_types=model_table.schema.remove_metadata(),
            codecs={name: codecs[name] for name in order},
            positions=positions,
            ways=ways,
            head=head,
            identifiers=table.select(kept),
            to_frame=None if isinstance(data, (Dataset, str, Path)) else _maker(like, data),
        )

    @staticmethod
    def load(path: Path) -> TreeModel:
        """A model that `TreeModel.save` wrote."""
        return TreeModel.load(path)

    def _grow(
        self,
        order: list[str],
        codecs: dict[str, Codec],
        codes: dict[str, Codes],
        x: Floats,
        determined: dict[str, Any],
        progress: Progress,
    ) -> dict[str, Way]:
        drawn = [name for name in order if name not in determined]
        calls = [
            (
                x[:, : order.index(name)],
                codes[name],
                codecs[name],
                self,
                stream(self.seed, "tree", "column", name),
            )
            for name in drawn
        ]
        ways: dict[str, Way] = dict(determined)
        batch = max(1, self.workers)
        for first in range(0, len(calls), batch):
            progress(ProgressEvent("fit", first, len(order) + 1, f"column {drawn[first]!r}"))
            grown = run_all(
                _grow_one, calls[first : first + batch], workers=self.workers, threads=True
            )
            ways.update(zip(drawn[first : first + batch], grown, strict=True))
        return {name: ways[name] for name in order}

    def _leaf_for(self, target: Codes | None) -> int:
        """`leaf`, or two thirds of the target's rarest class where a leaf would swallow it."""
        if target is None:
            return self.leaf
        counts = np.unique(target, return_counts=True)[1]
        if len(counts) > MOST_CLASSES:
            return self.leaf
        return min(self.leaf, max(FEWEST_IN_LEAF, 2 * int(counts.min()) // 3))

    def _leaves_of(
        self, codec: Codec, rng: np.random.Generator
    ) -> Callable[[Floats, Codes], Grove]:
        return lambda x, codes: _grow_one(x, codes, codec, self, rng)


def _grow_one(
    x: Floats,
    codes: Codes,
    codec: Codec,
    config: TreeSynthesizer,
    rng: np.random.Generator,
) -> Grove:
    return fit_grove(
        x,
        codes,
        classes_of(codec, codes),
        pruned=isinstance(codec, Ranks),
        trees=config.trees,
        leaf=config.leaf,
        features=config.features,
        grow_rows=config.grow_rows,
        rng=rng,
    )


def _encode(table: pa.Table, spec: Table) -> tuple[dict[str, Codec], dict[str, Codes]]:
    codecs: dict[str, Codec] = {}
    codes: dict[str, Codes] = {}
    for column in spec.learnt:
        numeric = _is_numeric(spec, table, column.name)
        codecs[column.name] = fit_codec(column.name, table[column.name], numeric=numeric)
        codes[column.name] = codecs[column.name].encode(table[column.name])
    if not codecs:
        raise EngineError(
            f"table {spec.name!r} has no column to learn: all are identifiers or text."
        )
    return codecs, codes


def _is_numeric(spec: Table, table: pa.Table, name: str) -> bool:
    numeric = spec.column(name).kind in ("number", "datetime", "duration", "geo")
    return numeric and not pa.types.is_null(table.schema.field(name).type)


def _positions(
    spec: Table, codecs: dict[str, Codec], codes: dict[str, Codes], order: list[str]
) -> dict[str, Floats]:
    """Code -> place on the axis that trees split; missing (last entry) at the low end.

    Numbers keep their order. Categories are ordered by their mean of the first column, the target
    when there is one, so that one split can part the levels that differ most (Breiman et al. 1984,
    section 4.2.2).
    """
    lead = codes[order[0]]
    positions: dict[str, Floats] = {}
    for name, codec in codecs.items():
        if isinstance(codec, Ranks):
            place = codec.starts + (codec.counts - 1) / 2
        elif spec.column(name).kind == "category" and name != order[0] and codec.size:
            seen = codes[name] >= 0
            total = np.bincount(codes[name][seen], lead[seen], minlength=codec.size)
            mean = total / np.maximum(codec.counts, 1)
            place = np.argsort(np.argsort(mean, kind="stable"), kind="stable")
        else:
            place = np.arange(codec.size)
        positions[name] = np.concatenate((place, [-1])).astype(np.float32)
    return positions


def _matrix(
    order: list[str], codes: dict[str, Codes], positions: dict[str, Floats], rows: int
) -> Floats:
    x = np.empty((rows, len(order)), dtype=np.float32)
    for j, name in enumerate(order):
        x[:, j] = positions[name][codes[name]]
    return x


def _maker(like: Any, frame: Any) -> Any:
    return lambda dataset: like(dataset, frame)
