"""The protocols between the rooms, on one page.

Rooms talk through these and through `Dataset` (an Arrow table per table name). Third parties add
engines, attacks, measures and worlds by implementing one and naming it in an entry-point group
(`understudy.engines`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Shares = Mapping[str, Mapping[Any, float] | Literal["uniform"]]
"""`balance`: column -> wanted share per level, or "uniform". Levels not named share the rest."""


@runtime_checkable
class Model(Protocol):
    """A fitted engine. `holds_training_values` keeps it out of every bundle.

    `rows` is how many rows a table as large as the one learnt from has: counted, or bought.
    """

    engine: str
    rows: int
    holds_training_values: bool

    def sample(
        self,
        n: int,
        *,
        where: str | None = None,
        balance: Shares | None = None,
        seed: int | None = None,
        workers: int = 1,
    ) -> Any:
        """A `Dataset` of `n` rows. Same seed, same bytes, for any number of workers."""

    def save(self, path: Path) -> None:
        """Writes a folder of JSON and Parquet with a format version; never pickles."""


@runtime_checkable
class Tried(Protocol):
    """A model whose training held canaries: what they proved of epsilon, or None (see
    `privacy.audit`). Known after `fit`; the privacy statement keeps it, the model's files do not.
    """

    audit: Any


@runtime_checkable
class Inspectable(Protocol):
    """A model that says how well it knows records, to be attacked itself where it leaves."""

    def scores(self, dataset: Any) -> Mapping[str, Any]:
        """Named scores, float64 [rows] each, higher for rows the model knows better."""


@runtime_checkable
class Synthesizer(Protocol):
    """An engine before it has seen data: a frozen configuration with `fit`."""

    def fit(self, dataset: Any, *, privacy: Any = None) -> Model:
        """Learns the distribution of a `Dataset`; raises `EngineError` if it cannot take it."""


Better = Literal["lower", "higher", "near"]


@dataclass(frozen=True)
class Measurement:
    """A number with its uncertainty, the floor (what two real samples score) and its meaning.

    `near` means: the closer to the floor the better, from either side.
    """

    name: str
    value: float
    low: float
    high: float
    floor: float
    n: int
    meaning: str
    better: Better = "lower"
    floor_low: float | None = None
    floor_high: float | None = None
    unit: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Ruling = Literal["PASS", "FAIL", "INCONCLUSIVE", "INFO"]


Released = Literal["data", "model", "query"]
"""What leaves, and so what a verdict is about: the rows alone, the rows and the model that made
them, or answers of the model to whatever is asked of it."""


@dataclass(frozen=True)
class Line:
    """One line of the gate: what was asked, what was found, the bound, and the ruling.

    INFO lines inform and never decide. INCONCLUSIVE lines say in `detail` what could have been
    missed.
    """

    name: str
    ruling: Ruling
    detail: str
    section: Literal["validity", "privacy", "fidelity", "utility", "rare"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    floor: float | None = None
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """The worst line decides; `because` is that line's sentence."""

    ruling: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    because: str
    lines: tuple[Line, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
