"""Trainers under a privacy budget that break their promise, each in one way, and one that keeps it.

Each wraps an engine and tampers with what happens between it and its session, as a bug would:
declared and charged is what the engine planned, done is something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from understudy.contracts import Model, Synthesizer
from understudy.data import Dataset
from understudy.privacy.events import Event
from understudy.privacy.noise import Floats, NoiseStream, SeededNoise
from understudy.privacy.session import Array, Mechanism, Private

KNOWN_SEED = 7


@dataclass(frozen=True)
class Quiet:
    """A stream whose Gaussian and Gumbel noise is `factor` times what it should be."""

    noise: NoiseStream
    factor: float

    secure = False

    def normals(self, n: int) -> Floats:
        return self.factor * self.noise.normals(n)

    def gumbels(self, n: int) -> Floats:
        return self.factor * self.noise.gumbels(n)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.noise, name)


@dataclass(frozen=True)
class Tampered:
    """`mechanism` in all it declares; its noise comes through `instead`."""

    mechanism: Mechanism
    instead: Callable[[NoiseStream], NoiseStream]

    @property
    def event(self) -> Event:
        return self.mechanism.event

    @property
    def sensitivity(self) -> float:
        return self.mechanism.sensitivity

    def distance(self, one: Array, other: Array) -> float:
        return self.mechanism.distance(one, other)

    def release(self, exact: Array, noise: NoiseStream) -> Array:
        return self.mechanism.release(exact, self.instead(noise))

    def noiseless(self, exact: Array) -> Array:
        return self.mechanism.noiseless(exact)


class Between:
    """A session that passes everything on but what is tampered with."""

    def __init__(
        self,
        session: Any,
        instead: Callable[[NoiseStream], NoiseStream] | None,
        bounded: bool,
    ) -> None:
        self._session = session
        self._instead = instead
        self._bounded = bounded

    def admit(self, dataset: Dataset) -> Private[Dataset]:
        rows = (
            self._session.admit(dataset)
            if self._bounded
            else self._session.watched(dataset, lambda every: every)
        )
        return replace(rows, session=self)

    def release(self, query: str, mechanism: Mechanism, exact: Array) -> Array:
        asked = mechanism if self._instead is None else Tampered(mechanism, self._instead)
        return self._session.release(query, asked, exact)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@dataclass(frozen=True)
class Sabotaged:
    """`engine` with a bug: noise taken from elsewhere, or a unit's rows not bounded."""

    engine: Synthesizer
    instead: Callable[[NoiseStream], NoiseStream] | None = None
    bounded: bool = True

    private = True

    def fit(self, dataset: Any, *, privacy: Any = None) -> Model:
        return self.engine.fit(dataset, privacy=Between(privacy, self.instead, self.bounded))


def sound(engine: Synthesizer) -> Synthesizer:
    """C15: the engine as it is."""
    return engine


def without_noise(engine: Synthesizer) -> Synthesizer:
    """C14a."""
    return Sabotaged(engine, lambda noise: Quiet(noise, 0.0))


def half_the_noise(engine: Synthesizer) -> Synthesizer:
    """C14b: as when noise is scaled by half the sensitivity."""
    return Sabotaged(engine, lambda noise: Quiet(noise, 0.5))


def unbounded(engine: Synthesizer) -> Synthesizer:
    """C14c: all rows of a unit are counted where one may be."""
    return Sabotaged(engine, bounded=False)


def known_seed(engine: Synthesizer) -> Synthesizer:
    """C14f: every query's noise is that of one seed."""
    return Sabotaged(engine, lambda noise: SeededNoise(KNOWN_SEED))
