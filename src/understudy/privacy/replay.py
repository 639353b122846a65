"""Replay: does anything depend on the rows except through a mechanism?

A run on a dataset is recorded; then it is repeated on neighbouring datasets while every mechanism
gives the answers of the record. All else must then be equal bit for bit: what was asked, with which
parameters, and the model that comes out. What differs left without being paid for. And the exact
values on the two sides must be as close as the mechanism says they are (the method of PETS 2026,
arXiv 2602.17454, which found 13 violations in 12 libraries).

Replay is deterministic and takes seconds. It shows leaks through the values of the rows it tried;
it does not prove that there are none, and cannot see time or memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.contracts import Synthesizer
from understudy.data import Dataset
from understudy.privacy.budget import Budget
from understudy.privacy.neighbours import Neighbour, neighbours
from understudy.privacy.replay_findings import (
    Artefact,
    Finding,
    changed_files,
    changed_queries,
    distance,
    foreign_noise,
    leaks_without_noise,
    merged,
    no_numbers,
    not_repeatable,
    repeated_noise,
    too_far,
)
from understudy.privacy.replay_sessions import Diverged, FrozenSession, RecordingSession
from understudy.privacy.session import RowsPerUnit, Session

Fit = Callable[[Session, Dataset], Artefact | bytes]
"""Runs an engine and returns what would be published, whole or by file name."""

BUDGET = Budget(10.0, 1e-6)
"""Large, so that labels and bounds are found and the ways behind them are walked."""
ROWS_SAMPLED = 100


@dataclass(frozen=True)
class QueryLine:
    """One query: the sensitivity it declares and the largest that was measured."""

    query: str
    mechanism: str
    declared: float
    measured: float


@dataclass(frozen=True)
class ReplayReport:
    """What was asked, on which neighbours it was tried, and what was found.

    Internal: a finding may name what a single row holds.
    """

    subject: str
    queries: tuple[QueryLine, ...]
    neighbours: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        return not self.findings

    def sentences(self) -> list[str]:
        """For people: the verdict, then a sentence a finding."""
        tried = f"{len(self.queries)} queries on {len(self.neighbours)} neighbouring datasets"
        if self.clean:
            return [f"{self.subject}: nothing found. {tried}: all else was equal bit for bit."]
        count = f"{len(self.findings)} finding{'s' if len(self.findings) > 1 else ''}"
        head = f"{self.subject}: {count}. {tried}: NOT PRIVATE as it stands."
        return [head, *(f"{finding.kind}: {finding}" for finding in self.findings)]

    def as_dict(self) -> dict[str, Any]:
        return {"clean": self.clean, **asdict(self)}


def replay_engine(engine: Synthesizer, dataset: Dataset, *, subject: str = "") -> ReplayReport:
    """Replays an engine's `fit`; compares every file of the model and 100 rows drawn from it."""

    def fit(session: Session, rows: Dataset) -> Artefact:
        model = engine.fit(rows, privacy=session)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model")
            files = _contents(Path(folder) / "model")
        return {**files, "rows drawn": _bytes_of(model.sample(ROWS_SAMPLED, seed=7))}

    return replay(fit, dataset, subject=subject or type(engine).__name__)


def replay(
    fit: Fit,
    dataset: Dataset,
    beside: Iterable[Neighbour] | None = None,
    *,
    budget: Budget = BUDGET,
    rows_per_unit: RowsPerUnit = 1,
    subject: str = "the run",
) -> ReplayReport:
    """Replays `fit` on the neighbours of `dataset` (chosen by `neighbours` unless given).

    What `fit` raises on `dataset` itself is passed on.
    """
    tried = list(neighbours(dataset) if beside is None else beside)
    record, again = (RecordingSession(budget, seed, rows_per_unit) for seed in (1, 2))
    artefact, other_noise = _artefact(fit(record, dataset)), _artefact(fit(again, dataset))
    _, at_home = _against(fit, Neighbour("on the same rows", dataset), record, artefact)
    unsteady = {finding.query for finding in at_home}
    findings = not_repeatable(at_home) + repeated_noise(record.asked, again.asked)
    for asked in record.asked:
        findings += no_numbers(asked, ()) + foreign_noise(asked)
    measured = {asked.query: 0.0 for asked in record.asked}
    for neighbour in tried:
        session, found = _against(fit, neighbour, record, artefact)
        findings += [finding for finding in found if finding.query not in unsteady]
        findings += _exact_values(record, session, neighbour.name, measured)
    findings += leaks_without_noise(findings, artefact, other_noise)
    lines = [
        QueryLine(a.query, str(a.mechanism), a.mechanism.sensitivity, measured[a.query])
        for a in record.asked
    ]
    return ReplayReport(subject, tuple(lines), tuple(n.name for n in tried), merged(findings))


def _against(
    fit: Fit, neighbour: Neighbour, record: RecordingSession, artefact: Artefact
) -> tuple[FrozenSession, list[Finding]]:
    """One run with frozen answers: queries asked otherwise, a crash, files that differ."""
    session = FrozenSession(record.budget, record)
    found: list[Finding] = []
    try:
        made = _artefact(fit(session, neighbour.dataset))
        session.finish()
        found = changed_files(artefact, made, neighbour.name)
    except Diverged:
        pass
    except Exception as error:  # whatever an engine raises tells the rows apart
        detail = f"fit fails on one of two neighbours: {type(error).__name__}: {error}"
        found = [Finding("crash", "fit", detail, (neighbour.name,))]
    return session, changed_queries(session.differences, neighbour.name) + found


def _exact_values(
    record: RecordingSession, session: FrozenSession, where: str, measured: dict[str, float]
) -> list[Finding]:
    """Checks the exact values behind equal queries, and keeps the largest distances."""
    before = {asked.query: asked for asked in record.asked}
    found = []
    for now in session.asked:
        then = before[now.query]
        moved = distance(then, now)
        measured[now.query] = max(measured[now.query], moved)
        found += too_far(then, moved, where) + no_numbers(now, (where,))
    return found


def _artefact(made: Artefact | bytes) -> Artefact:
    return {"model": made} if isinstance(made, bytes) else made


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _bytes_of(dataset: Dataset) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    for table in dataset.tables.values():
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return bytes(sink.getvalue())
