"""A fitted relational engine: makes databases of any size, with every key in its place.

Without a budget the model holds training values (leaf donors) and real identifiers: its folder is
internal and no bundle takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.errors import ConditionError
from understudy.schema import Schema
from understudy.synthesizers.relational.cells import learnt_names
from understudy.synthesizers.relational.distinct import without_repeats
from understudy.synthesizers.relational.events import EventModel
from understudy.synthesizers.relational.giving import agreed
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.keys import Keys
from understudy.synthesizers.relational.pairing import Pairing
from understudy.synthesizers.relational.rows import NOBODY, Rows
from understudy.synthesizers.relational.sweeps import Sweep
from understudy.synthesizers.relational.tables import TableModel

if TYPE_CHECKING:
    from understudy.synthesizers.relational.engine import RelationalSynthesizer
    from understudy.synthesizers.relational.private.events import PrivateEvents
    from understudy.synthesizers.relational.private.likeness import Likeness
    from understudy.synthesizers.relational.private.tables import PrivateTable

SPARE = 1.05


@dataclass(frozen=True)
class RelationalModel:
    """See the module's docstring.

    `sizes` is how many rows each table had, by count or bought; `real` holds what must not be made
    again, and reference tables whole. With `private` everything follows from paid answers.
    """

    config: RelationalSynthesizer
    schema: Schema
    graph: Graph
    private: bool
    sizes: Mapping[str, int]
    tables: Mapping[str, TableModel | PrivateTable]
    histories: Mapping[str, EventModel | PrivateEvents]
    pairings: Mapping[str, Pairing | Likeness]
    types: Mapping[str, pa.Schema]
    real: Mapping[str, pa.Table]
    sweeps: tuple[Sweep, ...] = ()

    engine = "relational"

    @property
    def holds_training_values(self) -> bool:
        return not self.private

    @property
    def rows(self) -> int:
        """Units: rows of the unit's table, or of the first table with rows that is made."""
        unit = self.schema.unit.table
        made = (n for n in self.graph.order if n not in self.graph.reference and self.sizes[n])
        return self.sizes[next(made) if unit is None else unit]

    def sample(
        self,
        n: int,
        *,
        where: str | None = None,
        balance: Shares | None = None,
        seed: int | None = None,
        workers: int = 1,
    ) -> Dataset:
        """A database of about `n` units with all that hangs on them; reference tables as they are.

        Exactly `n` where the unit's table hangs on no other. Raises `ConditionError` for `where`
        and `balance`, which speak of one table.
        """
        if where or balance:
            raise ConditionError(
                "conditions and shares speak of one table, and this model makes a whole database. "
                "Sample it, and select from the result."
            )
        if n < 1:
            raise ConditionError(f"asked for {n} units; ask for at least 1.")
        seed = self.config.seed if seed is None else seed
        rows = self._rows(n / max(self.rows, 1), seed, workers)
        keys = Keys(self.schema, self.graph, rows, self.types, self.real, seed)
        return Dataset(self.schema, {s.name: keys.table(s.name) for s in self.schema.tables})

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `files`."""
        from understudy.synthesizers.relational.files import save

        save(self, path)

    @classmethod
    def load(cls, path: Path) -> RelationalModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.relational.files import load

        return load(path)

    def _rows(self, scale: float, seed: int, workers: int) -> Rows:
        rows = Rows()
        for name in self.graph.order:
            if name in self.graph.reference:
                names = learnt_names(self.schema.table(name))
                rows.cells[name] = self.real[name].select(list(names))
                rows.kept[name] = self.real[name]
                self._load(rows, name)
            elif name in self.histories:
                self.histories[name].draw(rows, self.graph, seed, workers)
            else:
                self._draw(rows, name, scale, seed)
            for link in self._ready(name):
                places = self.pairings[link.name].draw(rows, self.graph, seed)
                rows.parents[link.name] = agreed(rows, self.graph, link, places, seed)
                if link.child == name and not link.nullable:
                    self._drop_lost(rows, link)
            without_repeats(self.schema.table(name), rows, self.graph, seed)
        for nth in range(self.config.sweeps):
            for sweep in self.sweeps:
                sweep.redraw(rows, self.graph, nth, seed)
        return rows

    def _load(self, rows: Rows, name: str) -> None:
        """How often rows of a reference table are to be pointed at: as they were, else evenly."""
        for link in self.graph.into(name, "matched", "deferred"):
            loads = getattr(self.pairings[link.name], "loads", None)
            rows.counts[link.name] = np.ones(rows.size(name), np.int64) if loads is None else loads

    def _drop_lost(self, rows: Rows, link: Link) -> None:
        """Leaves out rows that must point somewhere and for which there is nobody."""
        lost = rows.parents[link.name] == NOBODY
        if lost.any():
            rows.keep(self.graph, link.child, np.flatnonzero(~lost))

    def _draw(self, rows: Rows, name: str, scale: float, seed: int) -> None:
        """One table; one that waits to be matched is made as large as is asked for."""
        size = max(1, round(scale * self.sizes[name])) if self.sizes[name] else 0
        link = self._waiting(name, rows) if size else None
        if link is None:
            self.tables[name].draw(rows, self.graph, size, seed)
            return
        source = self.graph.primary(link.child)
        assert source is not None
        slots = int(rows.counts[source.name].sum())
        each = self.sizes[link.child] / max(self.sizes[name], 1)
        size = int(SPARE * slots / max(each, 1e-9)) + 20
        self.tables[name].draw(rows, self.graph, size, seed)
        enough = np.searchsorted(np.cumsum(rows.counts[link.name]), slots) + 1
        rows.keep(self.graph, name, np.arange(min(int(enough), size)))

    def _waiting(self, name: str, rows: Rows) -> Link | None:
        """The one link by which all of a table's rows are pointed at, if its rows are asked for by
        another table already."""
        if self.graph.primary(name) is not None:
            return None
        into = self.graph.into(name, "primary", "matched", "deferred")
        if len(into) != 1 or into[0].way != "matched" or into[0].name not in self.pairings:
            return None
        link = into[0]
        source = self.graph.primary(link.child)
        if source is None or source.name not in rows.counts or not self.pairings[link.name].total:
            return None
        return link

    def _ready(self, name: str) -> list[Link]:
        """Links to be matched now that `name` is there."""
        own = list(self.graph.of(name, "matched"))
        return own + list(self.graph.into(name, "deferred"))
