"""C14 and C15: trainers that break their promise must be found out, and one that keeps it not.

Not here: budget-less looks at the rows (C14e), which `understudy replay` finds, and tuning on the
same data (C14g), which the ledger counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from understudy.contracts import Ruling, Synthesizer
from understudy.privacy.accountant import epsilon_of
from understudy.privacy.engine_audit import audit_engine
from understudy.privacy.events import PoissonGaussian
from understudy.privacy.noise import SeededNoise
from understudy.privacy.second_accountant import second_opinion
from understudy.selfcheck import trainers


@dataclass(frozen=True)
class BudgetCase:
    """A planted trainer; `tried` says whether it kept its promise, and in a sentence why."""

    code: str
    what: str
    expected: tuple[Ruling, ...]
    tried: Callable[[int], tuple[bool, str]]
    fast: bool = True


def _audited(
    change: Callable[[Synthesizer], Synthesizer],
) -> Callable[[int], tuple[bool, str]]:
    """The marginal engine, changed, with two thousand canaries; noise follows from the seed."""

    def tried(seed: int) -> tuple[bool, str]:
        from understudy.privacy.canary_rows import TARGET
        from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

        seeds = count(1_000 * seed)
        engine = change(MarginalSynthesizer(target=TARGET))
        found = audit_engine(engine, noise=lambda: SeededNoise(next(seeds)), subject="it")
        return found.kept, " ".join(found.sentences())

    return tried


def _mistaken_rate(seed: int) -> tuple[bool, str]:
    """Steps that sample 2 % of the units, and an accountant that was told .2 %."""
    del seed
    rate, sigma, steps, delta = 0.02, 1.0, 500, 1e-6
    claim = epsilon_of([PoissonGaussian(rate / 10, sigma, steps)], delta)
    second = second_opinion([PoissonGaussian(rate, sigma, steps)], delta)
    because = (
        f"epsilon {claim:.3f} is claimed; a second accountant puts it between {second.low:.3f} and "
        f"{second.high:.3f}"
    )
    return not second.contradicts(claim), because


BUDGET_CASES: tuple[BudgetCase, ...] = (
    BudgetCase("C14a", "no noise", ("FAIL",), _audited(trainers.without_noise)),
    BudgetCase("C14b", "half the noise", ("FAIL",), _audited(trainers.half_the_noise)),
    BudgetCase("C14c", "rows of a unit not bounded", ("FAIL",), _audited(trainers.unbounded)),
    BudgetCase("C14d", "accountant told a tenth of the rate", ("FAIL",), _mistaken_rate),
    BudgetCase("C14f", "noise of a known seed", ("FAIL",), _audited(trainers.known_seed)),
    BudgetCase("C15", "an engine that keeps its budget", ("PASS",), _audited(trainers.sound)),
)
