"""The whole journey: split, fit, sample, evaluate, attack, decide, report, bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import understudy
from understudy.contracts import Line, Verdict
from understudy.data import Dataset, Split, read, split
from understudy.data.writing import write_table
from understudy.errors import ColumnError, EngineError, PlanError, suggest
from understudy.pipeline.store import RunStore
from understudy.release.gate import DEFAULTS, Thresholds, decide
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import fresh_seed, stream
from understudy.schema.plan import Engine, Plan, Privacy, Source, dump_plan
from understudy.synthesizers.registry import create, load_model

NO_DP = (
    "without DP: the rows are protected by what the attacks could not do, not by a theorem. Names "
    "and kinds of columns are taken to be public."
)
NEEDS_NO_DP = (
    "this version has no differential privacy yet, and running without it is a decision that "
    "somebody should take knowingly. Say --no-dp (no_dp=True) to take it; the audit then decides on "
    "evidence whether the rows may leave."
)


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its verdict, and everything the reports are made of."""

    folder: Path
    verdict: Verdict
    contents: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.contents

    @property
    def synthetic(self) -> Path:
        return self.folder / "synthetic"

    @property
    def bundle(self) -> Path | None:
        """The folder that may leave, or None when the verdict kept it back."""
        return self.folder / "bundle" if (self.folder / "bundle").is_dir() else None


def execute(
    plan: Plan,
    data: Dataset,
    folder: Path,
    *,
    progress: Progress = silent,
    workers: int = 1,
    title: str | None = None,
    notes: tuple[str, ...] = (),
) -> Run:
    """Runs `plan` on `data` in `folder`, or goes on where an interrupted run stopped.

    Raises before anything is written when the plan cannot be carried out.
    """
    thresholds = _check(plan, data)
    if plan.seed is None:
        known = Path(folder) / "plan.yaml"
        plan = plan.model_copy(update={"seed": _seed_of(known) or fresh_seed()})
    fingerprint = _fingerprint(data)
    text = dump_plan(plan)
    identity = hashlib.sha256(f"{fingerprint}\n{text}\n{title}".encode()).hexdigest()
    store = RunStore(folder, identity)
    try:
        store.write_text("plan.yaml", text)
        journey = Journey(plan, data, store, thresholds, progress, workers)
        return journey.go(fingerprint, title or f"{data.schema.table().name}, synthetic", notes)
    finally:
        store.close()


@dataclass(frozen=True)
class Journey:
    """The steps of one run; each writes its files and is recorded when they are there."""

    plan: Plan
    data: Dataset
    store: RunStore
    thresholds: Thresholds
    progress: Progress
    workers: int

    @property
    def seed(self) -> int:
        return self.plan.seed or 0

    def go(self, fingerprint: str, title: str, notes: tuple[str, ...]) -> Run:
        parts = split(self.data, seed=self.seed)
        self.store.once("fit", lambda: self._fit(parts))
        self.store.once("sample", lambda: self._sample(parts))
        synthetic = self._synthetic()
        nominal = unbalanced(synthetic, self.data, self.seed)
        self.store.once("evaluate", lambda: self._evaluate(parts, nominal))
        self.store.once("attack", lambda: self._attack(parts, nominal))
        self.store.once("decide", lambda: self._decide(nominal))
        contents = self._contents(parts, synthetic, fingerprint, title, notes)
        self.store.once("report", lambda: self._report(contents))
        self.store.once("bundle", lambda: self._bundle(contents, synthetic))
        found = contents["verdict"]
        verdict = Verdict(
            found["ruling"], found["because"], tuple(Line(**x) for x in found["lines"])
        )
        self.progress(ProgressEvent("done", 1, 1, found["ruling"]))
        return Run(self.store.folder, verdict, contents)

    def _fit(self, parts: Split) -> None:
        options = dict(self.plan.engine.options)
        engine = create(
            self.plan.engine.name,
            **{"target": self.plan.target, "seed": self.seed, "workers": self.workers, **options},
        )
        model = engine.fit(parts.train, progress=self.progress)  # type: ignore[call-arg]
        model.save(self.store.folder / "model")

    def _sample(self, parts: Split) -> None:
        self.progress(ProgressEvent("sample", 0, 1, "drawing rows"))
        model = load_model(self.store.folder / "model")
        made = model.sample(
            self.plan.rows or parts.train.num_rows,
            balance=self.plan.balance,
            seed=self.seed,
            workers=self.workers,
        )
        table = apart_from_real(made.table, self.data, self.seed)
        name = self.data.schema.table().name
        write_table(table, self.store.folder / "synthetic" / f"{name}.parquet")
        self.store.write_json("work/schema.json", made.schema.model_dump(mode="json"))

    def _synthetic(self) -> Dataset:
        from understudy.schema import Schema

        schema = Schema.model_validate(self.store.read_json("work/schema.json"))
        path = self.store.folder / "synthetic" / f"{schema.table().name}.parquet"
        return Dataset.single(schema, pq.ParquetFile(path).read())

    def _evaluate(self, parts: Split, synthetic: Dataset) -> None:
        from understudy.evaluation import evaluate

        card = evaluate(
            parts.train,
            parts.holdout,
            parts.reference,
            synthetic,
            target=self.plan.target,
            seed=self.seed,
            progress=self.progress,
        )
        self.store.write_json("work/fidelity.json", card.as_dict())

    def _attack(self, parts: Split, synthetic: Dataset) -> None:
        from understudy.attacks import attack

        battery = attack(
            parts.train,
            parts.holdout,
            parts.reference,
            synthetic,
            seed=self.seed,
            progress=self.progress,
        )
        self.store.write_json("work/battery.json", battery.as_dict())

    def _decide(self, synthetic: Dataset) -> None:
        from understudy.release.validity import check

        card, battery = (self.store.read_json(f"work/{n}.json") for n in ("fidelity", "battery"))
        validity = check(synthetic, self.data)
        verdict = decide(card, battery, validity, self.thresholds)
        found = {"scorecard": card, "battery": battery, "validity": validity}
        self.store.write_json("scorecard.json", {**found, "verdict": verdict.as_dict()})

    def _contents(
        self, parts: Split, synthetic: Dataset, fingerprint: str, title: str, notes: tuple[str, ...]
    ) -> dict[str, Any]:
        model = create(self.plan.engine.name, **self.plan.engine.options)
        config = {**model.get_params(), "target": self.plan.target}  # type: ignore[attr-defined]
        config = {k: v for k, v in config.items() if k not in ("seed", "workers")}
        source = self.data
        return {
            "format": 1,
            "title": title,
            "created": self.store.created,
            "understudy": understudy.__version__,
            "seed": self.seed,
            "engine": {"name": self.plan.engine.name, "config": config},
            "privacy": {"mode": "none", "sentence": NO_DP},
            "source": {
                "name": source.schema.table().name,
                "rows": source.num_rows,
                "columns": len(source.table.column_names),
                "fingerprint": fingerprint,
            },
            "schema": synthetic.schema.model_dump(mode="json"),
            "split": {
                name: getattr(parts, name).num_rows for name in ("train", "holdout", "reference")
            },
            "timing": {
                k: v for k, v in self.store.timing().items() if k not in ("report", "bundle")
            },
            **self.store.read_json("scorecard.json"),
            "preview": _preview(synthetic),
            "notes": list(notes),
        }

    def _report(self, contents: dict[str, Any]) -> None:
        from understudy.release.report import render

        self.progress(ProgressEvent("report", 0, 1, "writing"))
        self.store.write_text("report.html", render(contents, public=False))

    def _bundle(self, contents: dict[str, Any], synthetic: Dataset) -> None:
        from understudy.release.bundle import build

        self.store.write_json("work/run.json", contents)
        if contents["verdict"]["ruling"] == "PASS":
            target = self.store.folder / "bundle"
            build(target, synthetic, contents, thresholds=self.thresholds)


def plan_for(
    data: Dataset,
    path: str,
    *,
    target: str | None = None,
    engine: str = "tree",
    rows: int | None = None,
    balance: Mapping[str, Any] | None = None,
    unit: str | None = None,
    seed: int | None = None,
    source: Source | None = None,
) -> Plan:
    """The plan of a run that was asked for without one."""
    schema = data.schema
    if unit is not None:
        schema.table().column(unit)
        entity = {"of": "entity", "table": schema.table().name, "column": unit}
        schema = type(schema).model_validate({**schema.model_dump(), "unit": entity})
    return Plan(
        source=source or Source(path=path),
        data=schema,
        engine=Engine(name=engine),
        privacy=Privacy(),
        target=target,
        rows=rows,
        balance=dict(balance) if balance else None,
        seed=seed,
    )


def data_of(plan: Plan) -> Dataset:
    """Reads what a plan names, as it says."""
    source = plan.source
    return read(
        source.path,
        nulls=source.nulls,
        delimiter=source.delimiter,
        encoding=source.encoding,
        schema=plan.data,
    )


def unbalanced(synthetic: Dataset, source: Dataset, seed: int) -> Dataset:
    """The rows to audit: those of a balanced table resampled by weight, others as they are."""
    extra = [n for n in synthetic.table.column_names if n not in source.table.column_names]
    if not extra:
        return synthetic
    weight = synthetic.table[extra[0]].to_numpy()
    rng = stream(seed, "unbalanced")
    rows = rng.choice(len(weight), len(weight), p=weight / weight.sum())
    return source.with_table(synthetic.table.drop_columns(extra).take(pa.array(rows)))


def apart_from_real(table: pa.Table, source: Dataset, seed: int) -> pa.Table:
    """Remakes identifiers that chance made equal to one of a person the engine never saw."""
    import pyarrow.compute as pc

    from understudy.encoding import identifiers

    for column in source.schema.table().of_kind("identifier"):
        made, real = table[column.name], source.table[column.name]
        clash = pc.is_in(made, value_set=pc.unique(real.drop_null()))
        if not pc.any(clash).as_py():
            continue
        known = pa.chunked_array([*real.chunks, *made.chunks], real.type)
        rng = stream(seed, "apart", column.name)
        fresh = identifiers.make(column, known.drop_null(), len(made), rng)
        place = table.column_names.index(column.name)
        table = table.set_column(
            place,
            table.schema.field(place),
            pc.if_else(clash.combine_chunks(), fresh, made.combine_chunks()),
        )
    return table


def _check(plan: Plan, data: Dataset) -> Thresholds:
    if plan.privacy is None:
        raise PlanError(NEEDS_NO_DP)
    if len(data.schema.tables) > 1:
        names = ", ".join(spec.name for spec in data.schema.tables)
        raise EngineError(
            f"this version generates one table at a time; the data has {names}. Name one file."
        )
    spec = data.schema.table()
    if plan.target is not None:
        column = spec.column(plan.target)
        if column.kind in ("identifier", "text"):
            raise ColumnError(
                f"column {plan.target!r} is {column.kind} ({column.why or 'by its kind'}) and cannot "
                "be the target. Name a column to predict, or change its kind in the plan."
            )
    for name in plan.balance or {}:
        spec.column(name)
    create(plan.engine.name, **plan.engine.options)
    known = [field.name for field in fields(Thresholds)]
    for name in plan.bounds:
        if name not in known:
            raise PlanError(f"no bound called {name!r} in the gate. {suggest(name, known)}")
    return Thresholds(**plan.bounds) if plan.bounds else DEFAULTS


def _seed_of(plan: Path) -> int | None:
    """The seed an interrupted run chose for itself."""
    if not plan.is_file():
        return None
    from understudy.schema.plan import load_plan

    return load_plan(plan).seed


def _fingerprint(data: Dataset) -> str:
    """A hash of names, types and cells; the same for the same table from any file."""
    digest = hashlib.sha256()
    for name in sorted(data.tables):
        table = data.tables[name].combine_chunks()
        digest.update(json.dumps([name, str(table.schema)]).encode())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema.remove_metadata()) as writer:
            writer.write_table(table.replace_schema_metadata(None))
        digest.update(np.frombuffer(sink.getvalue(), np.uint8))
    return digest.hexdigest()


def _preview(synthetic: Dataset) -> dict[str, Any]:
    head = synthetic.table.slice(0, 10)
    rows = [["" if v is None else str(v) for v in row.values()] for row in head.to_pylist()]
    return {"columns": head.column_names, "rows": rows}
