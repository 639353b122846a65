"""Runs the audit on planted tables and compares what it says with what it must say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.contracts import Line
from understudy.release.gate import SEVERITY
from understudy.release.guarantee_lines import TRIED
from understudy.release.privacy_lines import privacy_lines
from understudy.release.thresholds import DEFAULTS
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream
from understudy.selfcheck.budget_cases import BUDGET_CASES, BudgetCase
from understudy.selfcheck.cases import CASES, Case
from understudy.selfcheck.population import samples
from understudy.selfcheck.tables import Audited

ROWS, FAST_ROWS = 10_000, 5_000
SEED = 1


@dataclass(frozen=True)
class Outcome:
    """What was expected of one case and what was said; `because` is the deciding line."""

    case: Case | BudgetCase
    ruling: str
    line: str
    because: str
    misses: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.misses

    def as_dict(self) -> dict[str, Any]:
        return {
            "case": self.case.code,
            "what": self.case.what,
            "expected": list(self.case.expected),
            "actual": self.ruling,
            "line": self.line,
            "because": self.because,
            "misses": list(self.misses),
            "ok": self.ok,
        }


def selfcheck(
    *,
    fast: bool = False,
    rows: int | None = None,
    seed: int = SEED,
    cases: Sequence[Case | BudgetCase] = (*CASES, *BUDGET_CASES),
    progress: Progress = silent,
) -> Iterator[Outcome]:
    """One outcome per case; `fast` takes a subset and fewer rows."""
    chosen = [case for case in cases if case.fast or not fast]
    size = rows or (FAST_ROWS if fast else ROWS)
    real = samples(size, stream(seed, "selfcheck", "real"))
    for i, case in enumerate(chosen):
        progress(ProgressEvent("selfcheck", i, len(chosen), f"{case.code}: {case.what}"))
        if isinstance(case, BudgetCase):
            yield judge_trainer(case, seed)
        else:
            yield judge(case, case.make(real, stream(seed, "selfcheck", case.code)), seed)
    progress(ProgressEvent("selfcheck", len(chosen), len(chosen), "done"))


def judge(case: Case, tables: Audited, seed: int) -> Outcome:
    """Attacks one planted table and rules on it as the gate would."""
    from understudy.attacks import attack

    battery = attack(*tables, seed=seed).as_dict()
    lines = privacy_lines(battery, DEFAULTS)
    worst = max(lines, key=lambda line: SEVERITY[line.ruling])
    decided = next(
        (line for line in lines if line.name in case.lines and line.ruling == worst.ruling), worst
    )
    misses = []
    if worst.ruling not in case.expected:
        misses.append(f"{worst.ruling} for {' or '.join(case.expected)}")
    by_name = {line.name: line.ruling for line in lines}
    misses += [
        f"line {name!r} says {by_name.get(name)}"
        for name in case.lines
        if by_name.get(name) not in case.expected
    ]
    if not case.findings(battery):
        misses.append("the findings are not as planted")
    if case.rare is not None:
        misses += _rare(case, tables, seed)
    return Outcome(case, worst.ruling, decided.name, decided.detail, tuple(misses))


def judge_trainer(case: BudgetCase, seed: int) -> Outcome:
    """Lets canaries and the second accountant try one planted trainer."""
    kept, because = case.tried(seed)
    ruling = "PASS" if kept else "FAIL"
    misses = () if ruling in case.expected else (f"{ruling} for {case.expected[0]}",)
    return Outcome(case, ruling, TRIED, because, misses)


def _rare(case: Case, tables: Audited, seed: int) -> list[str]:
    from understudy.evaluation import evaluate
    from understudy.release.rare_lines import rare_lines

    card = evaluate(*tables, seed=seed).as_dict()
    lines: list[Line] = rare_lines(card, DEFAULTS, decisive=True)
    worst = max(lines, key=lambda line: SEVERITY[line.ruling])
    if worst.ruling == case.rare:
        return []
    return [f"rare-event lines say {worst.ruling} for {case.rare}: {worst.detail}"]
