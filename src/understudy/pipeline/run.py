"""The whole journey: split, fit, sample, evaluate, attack, decide, report, bundle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import understudy
from understudy.contracts import Inspectable, Line, Verdict
from understudy.data import Dataset, Split, alone, split
from understudy.data.splitting import SHARES
from understudy.data.writing import write_table
from understudy.pipeline import private
from understudy.pipeline.finished import file_name, stored_rows
from understudy.pipeline.planning import check, engine_of, seed_of
from understudy.pipeline.race import Rules, by_rule, race
from understudy.pipeline.rows import apart_from_real, fingerprint, name_of, preview, unbalanced
from understudy.pipeline.store import DATABASE, RunStore
from understudy.release.gate import Thresholds, decide
from understudy.runtime.parallel import one_thread
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import fresh_seed
from understudy.schema import Schema
from understudy.schema.plan import DifferentialPrivacy, Plan, dump_plan
from understudy.synthesizers.registry import AUTO, configured, create, load_model

RACE = "work/race.json"
LEAKED = "work/leaked.json"
"""Values of real people, for the internal report alone: never part of a run's contents."""
NO_DP = (
    "Without differential privacy: the rows are protected by what the attacks could not do, not by "
    "a theorem. Names and kinds of columns are taken to be public."
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
    by_plan: bool = False,
) -> Run:
    """Runs `plan` on `data` in `folder`, or goes on where an interrupted run stopped.

    `by_plan` says that a person has seen the plan, which makes public what it declares. Raises
    before anything is written when the plan cannot be carried out.
    """
    thresholds = check(plan, data)
    if plan.seed is None:
        plan = plan.model_copy(update={"seed": seed_of(Path(folder) / "plan.yaml") or fresh_seed()})
    private_run = isinstance(plan.privacy, DifferentialPrivacy)
    if private_run:
        data = alone(replace(data, schema=private.without_reasons(data.schema)))
    parts = None if private_run else split(data, seed=plan.seed or 0)
    content = fingerprint(data)
    text = dump_plan(plan)
    identity = hashlib.sha256(f"{content}\n{text}\n{title}".encode()).hexdigest()
    store = RunStore(folder, identity)
    try:
        store.write_text("plan.yaml", text)
        if parts is None:
            parts = split(data, seed=store.coins, alone=True)
        journey = Journey(plan, data, store, thresholds, progress, workers, by_plan)
        title = title or f"{name_of(data, plan)}, synthetic"
        with one_thread():
            return journey.go(parts, content, title, notes)
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
    by_plan: bool

    @property
    def seed(self) -> int:
        return self.plan.seed or 0

    @property
    def several(self) -> bool:
        """Whether the data is a database of several tables."""
        return len(self.data.schema.tables) > 1

    @property
    def budget(self) -> DifferentialPrivacy | None:
        """What the run may spend, or None when it runs without differential privacy."""
        return self.plan.privacy if isinstance(self.plan.privacy, DifferentialPrivacy) else None

    def go(self, parts: Split, content: str, title: str, notes: tuple[str, ...]) -> Run:
        if engine_of(self.plan) == AUTO:
            self.store.once("race", lambda: self._race(parts))
        self.store.once("fit", lambda: self._fit(parts))
        self.store.once("sample", self._sample)
        synthetic = self._synthetic()
        nominal = synthetic
        if not self.several:
            nominal = unbalanced(synthetic, self.data, self.seed)
        self.store.once("evaluate", lambda: self._evaluate(parts, nominal))
        self.store.once("attack", lambda: self._attack(parts, nominal))
        self.store.once("decide", lambda: self._decide(nominal))
        contents = self._contents(parts, synthetic, content, title, notes)
        self.store.once("report", lambda: self._report(contents))
        self.store.once("bundle", lambda: self._bundle(contents, synthetic))
        found = contents["verdict"]
        verdict = Verdict(
            found["ruling"], found["because"], tuple(Line(**x) for x in found["lines"])
        )
        self.progress(ProgressEvent("done", 1, 1, found["ruling"]))
        return Run(self.store.folder, verdict, contents)

    def _race(self, parts: Split) -> None:
        found = race(
            parts.train,
            Rules.of(self.plan.engine.options),
            target=self.plan.target,
            seed=self.seed,
            workers=self.workers,
            progress=self.progress,
        )
        self.store.write_json(RACE, found.as_dict())

    def _engine(self) -> tuple[str, dict[str, Any]]:
        """The engine's name and its options: the plan's, or a winner as it raced."""
        name = engine_of(self.plan)
        if name == AUTO:
            return self.store.read_json(RACE)["winner"], {}
        # A rule that took the place of a race leaves nothing to race by.
        return name, {} if self.plan.engine.name == AUTO else dict(self.plan.engine.options)

    def _raced(self, engine: str) -> dict[str, Any] | None:
        """How the engine was chosen, where that was left to us."""
        if self.plan.engine.name != AUTO:
            return None
        raced = engine_of(self.plan) == AUTO
        found: dict[str, Any] = self.store.read_json(RACE) if raced else by_rule(engine)
        return found

    def _fit(self, parts: Split) -> None:
        name, options = self._engine()
        engine = configured(
            name,
            options,
            target=self.plan.target,
            seed=self.seed,
            workers=self.workers,
        )
        if self.budget is None:
            model = engine.fit(parts.train, progress=self.progress)  # type: ignore[call-arg]
            model.save(self.store.folder / "model")
            self.store.write_json("work/privacy.json", {"mode": "none", "sentence": NO_DP})
            return
        answers = self.store.folder / DATABASE
        opened = private.opened(
            self.budget, self.data, parts.train, self.store.name, answers, share=SHARES[0]
        )
        with opened as session:
            model = engine.fit(parts.train, privacy=session, progress=self.progress)  # type: ignore[call-arg]
            model.save(self.store.folder / "model")
            private.write_card(self.store.folder / "model", session)
            public = private.declared(self.plan.data, self.budget, by_plan=self.by_plan)
            self.store.write_json("work/privacy.json", private.stated(session, public, model))

    def _sample(self) -> None:
        self.progress(ProgressEvent("sample", 0, 1, "drawing rows"))
        model = load_model(self.store.folder / "model")
        made = model.sample(
            self.plan.rows or model.rows,
            balance=self.plan.balance,
            seed=self.seed,
            workers=self.workers,
        )
        if self.budget is None:
            made = apart_from_real(made, self.data, self.seed)
        for name, table in made.tables.items():
            write_table(table, self.store.folder / "synthetic" / f"{file_name(name)}.parquet")
        self.store.write_json("work/schema.json", made.schema.model_dump(mode="json"))

    def _synthetic(self) -> Dataset:
        schema = Schema.model_validate(self.store.read_json("work/schema.json"))
        return stored_rows(self.store.folder, schema)

    def _evaluate(self, parts: Split, synthetic: Dataset) -> None:
        from understudy.evaluation import evaluate, evaluate_database

        measure = evaluate_database if self.several else evaluate
        card = measure(
            parts.train,
            parts.holdout,
            parts.reference,
            synthetic,
            target=self.plan.target,
            budget=self._spent(),
            seed=self.seed,
            progress=self.progress,
        )
        self.store.write_json("work/fidelity.json", card.as_dict())

    def _spent(self) -> tuple[float, float] | None:
        """(epsilon, delta) of the run, or None without a budget."""
        stated = self.store.read_json("work/privacy.json").get("statement")
        return (stated["epsilon"], stated["delta"]) if stated else None

    def _attack(self, parts: Split, synthetic: Dataset) -> None:
        from understudy.attacks import attack, attack_database

        samples = (parts.train, parts.holdout, parts.reference, synthetic)
        if self.several:
            battery = attack_database(*samples, seed=self.seed, progress=self.progress)
        else:
            model = self._inspected()
            battery = attack(*samples, model=model, seed=self.seed, progress=self.progress)
        self.store.write_json("work/battery.json", battery.as_dict())
        shown = battery.leaked.as_dict() if battery.leaked is not None else {}
        self.store.write_json(LEAKED, shown)

    def _inspected(self) -> Inspectable | None:
        """The model, to be attacked itself where it leaves and lets itself be looked into."""
        if self.plan.releases == "data":
            return None
        model = load_model(self.store.folder / "model")
        return model if isinstance(model, Inspectable) else None

    def _decide(self, synthetic: Dataset) -> None:
        from understudy.release.validity import check as check_rows

        card, battery, paid = (
            self.store.read_json(f"work/{n}.json") for n in ("fidelity", "battery", "privacy")
        )
        validity = check_rows(synthetic, self.data, private=self.budget is not None)
        verdict = decide(
            card,
            battery,
            validity,
            self.thresholds,
            paid.get("statement"),
            released=self.plan.releases,
        )
        found = {"scorecard": card, "battery": battery, "validity": validity}
        self.store.write_json("scorecard.json", {**found, "verdict": verdict.as_dict()})

    def _contents(
        self, parts: Split, synthetic: Dataset, content: str, title: str, notes: tuple[str, ...]
    ) -> dict[str, Any]:
        name, options = self._engine()
        model = create(name, **options)
        config = {**model.get_params(), "target": self.plan.target}  # type: ignore[attr-defined]
        config = {k: v for k, v in config.items() if k not in ("seed", "workers")}
        source = self.data
        found = {
            "format": 1,
            "title": title,
            "created": self.store.created,
            "understudy": understudy.__version__,
            "seed": self.seed,
            "engine": {"name": name, "config": config},
            "race": self._raced(name),
            "releases": self.plan.releases,
            "privacy": self.store.read_json("work/privacy.json"),
            "source": {
                "name": name_of(source, self.plan),
                "tables": len(source.tables),
                "rows": source.num_rows,
                "columns": sum(table.num_columns for table in source.tables.values()),
                "fingerprint": content,
            },
            "schema": synthetic.schema.model_dump(mode="json"),
            "split": {part: getattr(parts, part).num_rows for part in Split.__annotations__},
            **self.store.read_json("scorecard.json"),
            "preview": preview(synthetic),
            "notes": list(notes),
        }
        if self.several:
            from understudy.release.database_contents import database_contents

            found["database"] = database_contents(parts.train, synthetic, seed=self.seed)
        return found

    def _report(self, contents: dict[str, Any]) -> None:
        from understudy.release.report import render

        self.progress(ProgressEvent("report", 0, 1, "writing"))
        known = (self.store.folder / LEAKED).is_file()
        leaked = self.store.read_json(LEAKED) if known else {}
        page = render({**contents, "leaked": leaked}, public=False)
        self.store.write_text("report.html", page)

    def _bundle(self, contents: dict[str, Any], synthetic: Dataset) -> None:
        from understudy.release.bundle import build

        self.store.write_json("work/run.json", contents)
        if contents["verdict"]["ruling"] == "PASS":
            target = self.store.folder / "bundle"
            build(target, synthetic, contents, thresholds=self.thresholds)
