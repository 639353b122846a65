"""DP-SGD (Abadi et al. 2016) for any torch module: the loop that everything else serves.

A step draws a Poisson batch, adds up clipped gradients, adds noise once, divides by a constant from
the plan and lets the optimizer move. Of the private rows nothing but the noisy sum reaches the
network. An empty batch is a step like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.errors import EngineError
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.audit import CONFIDENCE, Audit, audit
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import checkpoint
from understudy.privacy.dpsgd.book import Book
from understudy.privacy.dpsgd.canaries import Canaries
from understudy.privacy.dpsgd.clipping import add_clipped, factors, laid_out
from understudy.privacy.dpsgd.plan import PrivacyPlan
from understudy.privacy.dpsgd.records import Batch, Records
from understudy.privacy.dpsgd.releases import PaidTraining
from understudy.privacy.dpsgd.sampler import drawn
from understudy.privacy.events import PoissonGaussian
from understudy.privacy.session import Session

Loss = Callable[[Batch], Tensor]
"""One value for each row of a batch."""


class DPSGD:
    """The private training of one module with one optimizer, paid for when it is made.

    The module is what may leave. Use it inside `Private.map`, where the rows are.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        plan: PrivacyPlan,
        session: Session,
        *,
        query: str = "training",
        canaries: int = 0,
        rows_at_once: int | None = None,
    ) -> None:
        """`query` names the training in the ledger. `rows_at_once` bounds memory, not the batch.

        Raises `EngineError` for modules without per-example gradients and `BudgetError` when the
        session cannot pay.
        """
        self._book = Book(module)
        _check_optimizer(optimizer, self._book)
        self.module, self.optimizer, self.plan = module, optimizer, plan
        self._budget = session.budget
        self._paid = PaidTraining(session, query, plan)
        self._canaries = Canaries(canaries, plan, self._paid.stream("canaries"))
        self._rows_at_once = rows_at_once
        self._parameters = list(self._book.names)
        self._size = sum(p.numel() for p in self._parameters)
        self._sums = self._paid.sums(self._size + canaries, _dtype(self._parameters))
        self._open: Batch | None = None

    @property
    def steps_left(self) -> int:
        """Of those paid for."""
        return self.plan.steps - self._paid.drawn

    @property
    def steps_drawn(self) -> int:
        """Those lost with a process that died are counted."""
        return self._paid.drawn

    def batches(self, records: Records) -> Iterator[Batch]:
        """The batches of the steps that are left; stop when you like, all were paid for."""
        coins = self._paid.coins(records)
        while self.steps_left:
            self._open = drawn(records, coins, self._paid.draw(), self._canaries.count)
            yield self._open

    def step(self, batch: Batch, loss: Loss) -> None:
        """Moves the module once. `loss` is called with parts of the batch, never with no rows."""
        if batch is not self._open:
            raise EngineError(
                "a step takes the batch that was drawn last, once: rows that are used again, or "
                "were chosen otherwise, were not paid for."
            )
        self._open = None
        self.optimizer.zero_grad()  # lets go of the last sum before the next is made
        self._sums.prepare()
        sums = self._noisy_sum(batch, loss).div_(self.plan.expected_batch)
        for parameter, gradient in laid_out(self._parameters, sums).items():
            parameter.grad = gradient.to(parameter.dtype)
        self.optimizer.step()

    def audit(self, alarms: float = 1 - CONFIDENCE) -> Audit:
        """What the canaries prove of the steps so far, beside what those may cost.

        A sound training is called broken in a share `alarms` of runs at most.
        """
        done = self._canaries.steps
        if not self._canaries.count or not done:
            raise EngineError(
                "there is nothing to audit yet: make the training with canaries=1000 and take "
                "steps first."
            )
        event = PoissonGaussian(self.plan.rate, self.plan.sigma, done)
        delta = self._budget.delta
        claim = Budget(epsilon_of([event], delta), delta)
        return audit(self._canaries.scores(), self._canaries.member, claim, alarms=alarms)

    def save(self, path: Path) -> None:
        """A checkpoint that `resume` takes; internal, and it holds no state of any generator."""
        self._paid.settle()
        checkpoint.save(path, self._state())

    def resume(self, path: Path) -> None:
        """Goes on after a checkpoint of this training; steps drawn since are not drawn again."""
        state = checkpoint.load(path, self._state())
        self.module.load_state_dict(state.module)
        self.optimizer.load_state_dict(state.optimizer)
        seen = self._canaries
        seen.steps = state.observed
        for name, values in state.canaries.items():
            setattr(seen, name, values)
        self._paid.resumed_at(state.drawn)

    def close(self) -> None:
        """Gives back claimed steps that were not drawn, and ends the noise's thread."""
        self._paid.close()
        self._sums.close()
        self.optimizer.zero_grad()

    def __enter__(self) -> DPSGD:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _noisy_sum(self, batch: Batch, loss: Loss) -> Tensor:
        """The sum of clipped gradients with noise; canaries' coordinates stay behind."""
        plan, sums = self.plan, None
        for part in batch.parts(self._rows_at_once):
            uses, norms = self._book.entries(lambda part=part: loss(part), part.rows)  # type: ignore[misc]
            if sums is None:
                sums = self._begin()
            places = laid_out(self._parameters, sums)
            add_clipped(uses, norms, part.unit_of, part.rows, plan.clip, plan.clipping, places)
        sums = self._begin() if sums is None else sums
        tail = sums[self._size :]
        if self._canaries.count:
            self._add_canaries(batch, tail)
        self._sums.release(batch.number, sums)
        if self._canaries.count:
            self._canaries.observe(tail.cpu().numpy().astype(np.float64))
        return sums[: self._size]

    def _begin(self) -> Tensor:
        return self._sums.begin().to(self._parameters[0].device)

    def _state(self) -> checkpoint.State:
        seen = self._canaries
        return checkpoint.State(
            self.plan,
            self._paid.name,
            self._paid.drawn,
            self.module.state_dict(),
            self.optimizer.state_dict(),
            seen.steps,
            {n: getattr(seen, n) for n in ("member", "evidence", "total", "squares")},
        )

    def _add_canaries(self, batch: Batch, tail: Tensor) -> None:
        """Through the same clipping as people's rows."""
        where, length = self._canaries.gradients(batch.canaries)
        norm = torch.full((len(where),), length, dtype=tail.dtype, device=tail.device)
        weight = factors(norm, self.plan.clip, self.plan.clipping)
        tail.index_add_(0, torch.from_numpy(where).to(tail.device), weight * norm)


def _check_optimizer(optimizer: Optimizer, book: Book) -> None:
    """Every trained parameter is the optimizer's, and no other."""
    moved = {id(p) for group in optimizer.param_groups for p in group["params"] if p.requires_grad}
    strays = [name for p, name in book.names.items() if id(p) not in moved]
    if strays or len(moved) > len(book.names):
        what = f"parameter {strays[0]!r} is not in it" if strays else "it has others as well"
        raise EngineError(
            f"the optimizer has to move the network's trainable parameters and no others: {what}. "
            "Freeze parameters with requires_grad_(False), or train what belongs together as one "
            "nn.ModuleList."
        )


def _dtype(parameters: Sequence[Tensor]) -> torch.dtype:
    """At least float32: sums in fewer bits would move by more than the clip."""
    exact = any(p.dtype == torch.float64 for p in parameters)
    return torch.float64 if exact else torch.float32
