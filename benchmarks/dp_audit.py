"""What canaries prove: of plain mechanisms, of the marginal engine, and of engines that cheat.

    python -m benchmarks.dp_audit [--runs 100]

Claims at delta 1e-6. Bounds are lower bounds on epsilon at 95 %, medians over runs; noise and coins
come from seeds 0, 1, ... An engine is called broken at one false alarm in 20 allowed, or in 1,000,
as `understudy replay` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import count

import numpy as np

from benchmarks.measure import table
from understudy.contracts import Synthesizer
from understudy.evaluation.statistics import clopper_pearson
from understudy.privacy.accountant import calibrate, epsilon_of
from understudy.privacy.audit import one_run_epsilon, shift_epsilon
from understudy.privacy.budget import Budget
from understudy.privacy.canary_rows import TARGET
from understudy.privacy.engine_audit import CANARIES, EngineAudit, audit_engine
from understudy.privacy.events import Gaussian, PoissonGaussian
from understudy.privacy.noise import Floats, SeededNoise
from understudy.privacy.second_accountant import second_opinion
from understudy.selfcheck import trainers

DELTA = 1e-6
KEPT = ((1.0, 0.05), (2.0, 0.05), (3.0, 0.05))
BROKEN = ((1.0, 0.05), (3.0, 0.001))
"""Claims, and the share of false alarms that is allowed: the harder of both for either sort."""
EPSILONS = (1.0, 2.0, 3.0)
CHANGES: dict[str, Callable[[Synthesizer], Synthesizer]] = {
    "sound": trainers.sound,
    "no noise": trainers.without_noise,
    "half the noise": trainers.half_the_noise,
    "3 rows of a unit, 1 allowed": trainers.unbounded,
    "noise of a known seed": trainers.known_seed,
}


def plain(runs: int) -> None:
    """Each canary alone in a cell of one table of counts."""
    rows = []
    for kind in ("Laplace", "Gaussian"):
        for epsilon in EPSILONS:
            for canaries in (1_000, 10_000):
                found = np.array([_cells(kind, epsilon, canaries, seed) for seed in range(runs)])
                proven, shift = np.median(found, axis=0) / epsilon
                above = (found > epsilon).mean(axis=0)
                figures = [f"{proven:.2f}", f"{above[0]:.2f}", f"{shift:.2f}", f"{above[1]:.2f}"]
                if kind == "Laplace":  # whose scores are not normal
                    figures[2:] = ["–", "–"]
                rows.append([kind, f"{epsilon:g}", f"{canaries:,}", *figures])
    header = ["noise", "true epsilon", "canaries", "one run / true", "above true"]
    table("Ideal canaries", [*header, "shift / true", "above true"], rows)


def _cells(kind: str, epsilon: float, canaries: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    member = rng.random(canaries) < 0.5
    noise: Floats
    if kind == "Laplace":
        noise = rng.laplace(0, 1 / epsilon, canaries)
    else:
        sigma = calibrate(lambda x: [Gaussian(x)], Budget(epsilon, DELTA))
        noise = rng.normal(0, sigma, canaries)
    scores = member + noise
    return one_run_epsilon(scores, member, DELTA), shift_epsilon(scores, member, DELTA)


def engine(runs: int) -> None:
    """The marginal engine, sound and tampered with."""
    rows = []
    for name, change in CHANGES.items():
        for epsilon, alarms in KEPT if change is trainers.sound else BROKEN:
            found = [_audited(change, epsilon, seed, alarms) for seed in range(runs)]
            proven = np.median([one.found.proven for one in found]) / epsilon
            shift = np.median([one.found.gaussian or 0.0 for one in found]) / epsilon
            flagged = sum(not one.kept for one in found)
            rate = clopper_pearson(flagged, runs)
            called = f"{flagged} of {runs} [{100 * rate.low:.0f}, {100 * rate.high:.0f}] %"
            figures = (f"{proven:.2f}", f"{shift:.2f}", f"{alarms:g}", called)
            rows.append([name, f"{epsilon:g}", *figures])
    header = ["marginal engine", "claim", "one run / claim", "shift / claim", "alarms allowed"]
    table(f"{CANARIES:,} canaries", [*header, "called broken"], rows)


def _audited(
    change: Callable[[Synthesizer], Synthesizer], epsilon: float, seed: int, alarms: float
) -> EngineAudit:
    from understudy.synthesizers.tabular.marginals import MarginalSynthesizer

    seeds = count(1_000 * seed)
    return audit_engine(
        change(MarginalSynthesizer(target=TARGET)),
        budget=Budget(epsilon, DELTA),
        alarms=alarms,
        noise=lambda: SeededNoise(next(seeds)),
    )


def rates() -> None:
    """An accountant that was told another sampling rate than the sampler; nothing is random."""
    rows = []
    for factor in (1.0, 0.9, 0.5, 0.1):
        claim = epsilon_of([PoissonGaussian(0.02 * factor, 1.0, 500)], DELTA)
        second = second_opinion([PoissonGaussian(0.02, 1.0, 500)], DELTA)
        flagged = "yes" if second.contradicts(claim) else "no"
        rows.append([f"{factor:g}", f"{claim:.3f}", f"{second.low:.3f}", f"{second.high:.3f}"])
        rows[-1].append(flagged)
    header = ["rate told / true", "claimed epsilon", "second, from", "to", "flagged"]
    table("Sampling rate mistaken in the accountant", header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    plain(runs)
    rates()
    engine(runs)


if __name__ == "__main__":
    main()
