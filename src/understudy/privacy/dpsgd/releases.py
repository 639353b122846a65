"""The noisy sums of a training, asked of a session.

A training is one query: paid for before its first step, named in the ledger once. Its sums are too
many and too large to be stored as answers, so the noise is added here, from a stream of the kind
that the session draws from, and a journal counts the steps instead. In replay every sum is a query
of its own, so that it can be measured and frozen.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from understudy.errors import BudgetError
from understudy.privacy.dpsgd.journal import StepJournal
from understudy.privacy.dpsgd.mechanism import KNOWN, NOISELESS, SECURE, GaussianSum, Training
from understudy.privacy.dpsgd.noise import NoiseAhead
from understudy.privacy.dpsgd.plan import PrivacyPlan
from understudy.privacy.dpsgd.records import Records
from understudy.privacy.dpsgd.sampler import Coins, CoupledCoins, FreeCoins
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.noise import NoiseStream, SecureNoise, SeededNoise
from understudy.privacy.replay_sessions import FrozenSession, RecordingSession
from understudy.privacy.session import Session

CLAIMS = 100
"""Steps are claimed in so many portions of a training; a killed process wastes one at most."""


class Sums(Protocol):
    """Where the noisy sum of a step comes from."""

    def prepare(self) -> None:
        """A sum will be begun soon."""

    def begin(self) -> Tensor:
        """A vector to add clipped gradients to."""

    def release(self, step: int, sums: Tensor) -> None:
        """Makes the sum of this step noisy, in place, if it was not begun with noise."""

    def close(self) -> None: ...


class Noised:
    """Sums that begin with noise from a stream of our own: one vector less to hold and to add."""

    def __init__(self, noise: NoiseAhead) -> None:
        self._noise = noise

    def prepare(self) -> None:
        self._noise.prepare()

    def begin(self) -> Tensor:
        return self._noise.take()

    def release(self, step: int, sums: Tensor) -> None:
        """It has its noise."""

    def close(self) -> None:
        self._noise.close()


class Exact:
    """Sums without noise: NOT PRIVATE."""

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        self._size = size
        self._dtype = dtype

    def prepare(self) -> None:
        """Nothing is made ahead."""

    def begin(self) -> Tensor:
        return torch.zeros(self._size, dtype=self._dtype)

    def release(self, step: int, sums: Tensor) -> None:
        """It stays as it is."""

    def close(self) -> None: ...


class Asked(Exact):
    """Every sum as a query of the session."""

    def __init__(
        self, size: int, dtype: torch.dtype, session: Session, query: str, mechanism: GaussianSum
    ) -> None:
        super().__init__(size, dtype)
        self._session = session
        self._query = query
        self._mechanism = mechanism

    def release(self, step: int, sums: Tensor) -> None:
        exact = sums.detach().cpu().numpy()
        noisy = self._session.release(f"{self._query}, step {step}", self._mechanism, exact)
        sums.copy_(torch.from_numpy(np.asarray(noisy)))

    def close(self) -> None: ...


class PaidTraining:
    """A training that its session has paid for: coins, noise, and how many steps are left."""

    def __init__(self, session: Session, query: str, plan: PrivacyPlan) -> None:
        ticket = session.release(query, Training(plan), np.empty(0, np.int64))
        self.plan = plan
        self._session = session
        self._query = query
        self._kind, self.name = int(ticket[0]), int(ticket[1])
        self._journal: StepJournal | None = None
        self.drawn = 0
        if isinstance(session, LedgerSession):
            self._journal = StepJournal(session.store.path, query)
            self.drawn = self._journal.claimed

    @property
    def replayed(self) -> bool:
        return isinstance(self._session, RecordingSession | FrozenSession)

    def draw(self) -> int:
        """The number of the next step, which counts from now on; raises when all were drawn."""
        if self.drawn >= self.plan.steps:
            raise BudgetError(
                f"all {self.plan.steps} steps of the training {self._query!r} were drawn. More "
                "would cost more than was paid: solve a plan with more steps, for a new run."
            )
        if self._journal and self.drawn >= self._journal.claimed:
            portion = max(1, self.plan.steps // CLAIMS)
            self._journal.claim(min(self.drawn + portion, self.plan.steps))
        self.drawn += 1
        return self.drawn

    def settle(self) -> None:
        """Gives back what was claimed and not drawn."""
        if self._journal and self._journal.claimed != self.drawn:
            self._journal.claim(self.drawn)

    def resumed_at(self, step: int) -> None:
        """Continues after a checkpoint of `step`, where no journal knows better."""
        self.drawn = max(self.drawn, step)

    def coins(self, records: Records) -> Coins:
        if self.replayed:
            return CoupledCoins(records, self.plan.rate, self.name)
        return FreeCoins(records, self.plan.rate, self.stream("coins"))

    def sums(self, size: int, dtype: torch.dtype) -> Sums:
        plan = self.plan
        if self.replayed:
            mechanism = GaussianSum(plan.sigma, plan.clip, plan.rate)
            return Asked(size, dtype, self._session, self._query, mechanism)
        if self._kind == NOISELESS:
            return Exact(size, dtype)
        return Noised(NoiseAhead(self.stream("noise"), size, plan.deviation, dtype))

    def stream(self, purpose: str) -> NoiseStream:
        """A stream of the session's kind. A known one does not start over after a resume."""
        if self._kind == KNOWN:
            shift = {"coins": 0, "noise": 1, "canaries": 2}[purpose]
            return SeededNoise(3 * (self.name + self.drawn) + shift)
        return SecureNoise()

    @property
    def secure(self) -> bool:
        return self._kind == SECURE

    def close(self) -> None:
        self.settle()
        if self._journal:
            self._journal.close()
