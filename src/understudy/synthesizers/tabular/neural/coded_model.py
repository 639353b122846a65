"""What every model is that draws rows of codes under conditions, whatever network is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from understudy.encoding.discrete import Floats
from understudy.errors import ConditionError
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.assembly import Domains
from understudy.synthesizers.tabular.neural.conditional_model import ConditionalModel
from understudy.synthesizers.tabular.neural.picking import Admitted
from understudy.synthesizers.tabular.neural.spans import span
from understudy.synthesizers.tabular.neural.tokens import Codings, Tokens

SHARD = 16_384
PILOT = 4_096
MORE = 4
"""Particles a row where several conditions must be met together."""


class Draws(Protocol):
    """A network that rows of codes are drawn from."""

    @property
    def codings(self) -> Codings: ...

    @property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """The tokens of each column."""

    def draw(
        self, rows: int, admitted: Admitted, rng: np.random.Generator, particles: int
    ) -> tuple[Tokens, float] | None:
        """int64 [rows, tokens] and the probability of what is admitted; None where no particle
        meets it."""


class CodedModel(ConditionalModel):
    """A model whose `drawing` draws groups of codes."""

    drawing: Draws

    @property
    def codings(self) -> Codings:
        return self.drawing.codings

    def admitted(self, domains: Domains, also: Mapping[str, Floats] | None = None) -> Admitted:
        """Conditions as shares of codes; `also` admits groups besides. Raises where a column takes
        no value that meets its condition."""
        found: dict[str, tuple[Floats, Floats]] = {}
        for name, domain in self.assembly.direct(domains).items():
            if name not in self.drawing.codings:
                raise ConditionError(
                    f"column {name!r} is {self.schema.table().column(name).kind}: it is made anew "
                    "and cannot be asked for in `where`."
                )
            coding = self.drawing.codings[name]
            groups, members = coding.admitted(domain)
            if not (groups * (coding.margin > 0)).any():
                raise ConditionError(
                    f"the model knows no value of column {name!r} with {domain.describe(name)}. "
                    f"{span(coding.axis)}"
                )
            found[name] = ((groups > 0).astype(float) if coding.staged else groups, members)
        for name, groups in (also or {}).items():
            one, members = found.get(name, (np.ones_like(groups), np.ones((len(groups), 1))))
            found[name] = (one * groups, members)
        return found

    def chance(self, admitted: Admitted, seed: int) -> float:
        found = self.drawing.draw(PILOT, admitted, stream(seed, "pilot"), PILOT)
        return 0.0 if found is None else found[1]

    def draw(
        self, admitted: Admitted, rows: int, seed: int, workers: int, name: str
    ) -> list[Tokens]:
        """Codes for `rows` rows, shard by shard."""
        sizes = [min(SHARD, rows - first) for first in range(0, rows, SHARD)]
        calls = [(size, admitted, seed, f"{name}/{i}") for i, size in enumerate(sizes)]
        return run_all(self._shard, calls, workers=workers, threads=True)

    def to_table(
        self, shards: Sequence[Tokens], domains: Domains, seed: int, attempt: int
    ) -> pa.Table:
        """Codes to rows of the learnt table."""
        parts = []
        for number, codes in enumerate(shards):
            rng = stream(seed, "values", attempt, number)
            arrays = {
                name: self.drawing.codings[name].decode(
                    [codes[:, token] for token in tokens], rng, domains.get(name)
                )
                for name, tokens in self.drawing.places.items()
            }
            parts.append(pa.table(arrays))
        return pa.concat_tables(parts)

    def _shard(self, rows: int, admitted: Admitted, seed: int, name: str) -> Tokens:
        rng = stream(seed, "shard", name)
        found = self.drawing.draw(rows, admitted, rng, max(MORE * rows, PILOT))
        if found is None:  # `mass` has seen otherwise
            raise ConditionError("no row met the conditions together. Please widen them.")
        return found[0]
