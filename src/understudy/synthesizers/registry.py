"""Engines by name: the built-in ones, and third parties' through the entry-point group.

A new engine is one file with a frozen configuration, `fit`, and a model with `sample`, `save` and
`load`; naming it here (or in `understudy.engines`) is all the wiring there is.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from understudy.contracts import Model, Synthesizer
from understudy.errors import EngineError, FormatError, SourceError, suggest

GROUP = "understudy.engines"
MODEL_FILE = "model.json"


@dataclass(frozen=True)
class EngineInfo:
    """What an engine is, what it needs and when to take it; `home` is `module:Class`.

    `private` ones keep a budget; models of those with `fills` draw missing cells (`impute`); those
    of `several` tables make databases, and nothing of a single table; `ordered` ones need an entity
    and a clock, and make whole histories.
    """

    name: str
    home: str
    what: str
    needs: str
    when: str
    private: bool = False
    fills: bool = False
    several: bool = False
    ordered: bool = False


BUILT_IN = {
    "tree": EngineInfo(
        "tree",
        "understudy.synthesizers.tabular.tree:TreeSynthesizer",
        "sequential trees: each column drawn from leaves of trees over the columns before it",
        "the core install; seconds of one CPU core",
        "any single table without a privacy budget",
    ),
    "marginals": EngineInfo(
        "marginals",
        "understudy.synthesizers.tabular.marginals:MarginalSynthesizer",
        "noisy tables of one, two and three columns, made consistent in closed form",
        "the core install; seconds of one CPU core",
        "any single table under a privacy budget, above all a small one",
        private=True,
    ),
    "autoregressive": EngineInfo(
        "autoregressive",
        "understudy.synthesizers.tabular.autoregressive:AutoregressiveSynthesizer",
        "one network that knows each column given any of the others: conditions, imputation",
        "torch (pip install 'understudy[deep]'); about a minute of one CPU core",
        "conditions on any columns, missing cells to fill, likelihoods; with or without a budget",
        private=True,
        fills=True,
    ),
    "tabdiff": EngineInfo(
        "tabdiff",
        "understudy.synthesizers.tabular.tabdiff:TabDiffSynthesizer",
        "mixed-type diffusion: rows from noise, numbers and labels side by side",
        "torch (pip install 'understudy[deep]'); minutes of one CPU core, or a GPU",
        "fidelity of tables with many numbers; conditions on any columns, missing cells to fill",
        private=True,
        fills=True,
    ),
    "ctgan": EngineInfo(
        "ctgan",
        "understudy.synthesizers.tabular.ctgan:CtganSynthesizer",
        "a generator trained against a critic (CTGAN), by sampling on every label",
        "torch (pip install 'understudy[deep]'); minutes of one CPU core",
        "where CTGAN is asked for by name; tree and autoregressive are better and faster",
        private=True,
    ),
    "tvae": EngineInfo(
        "tvae",
        "understudy.synthesizers.tabular.tvae:TvaeSynthesizer",
        "a variational autoencoder (TVAE): rows decoded from latents",
        "torch (pip install 'understudy[deep]'); minutes of one CPU core",
        "where TVAE is asked for by name; tree and autoregressive are better and faster",
        private=True,
    ),
    "relational": EngineInfo(
        "relational",
        "understudy.synthesizers.relational.engine:RelationalSynthesizer",
        "whole databases: structure first, then rows given what they hang on, histories by streams",
        "the core install; seconds of one CPU core for 100,000 rows",
        "several tables with keys, with or without a budget for whoever a unit names",
        private=True,
        several=True,
    ),
    "sequential": EngineInfo(
        "sequential",
        "understudy.synthesizers.sequential.engine:SequentialSynthesizer",
        "event histories: recurrent streams, calendar gaps, amounts, balances that add up",
        "the core install; seconds of one CPU core for 100,000 events",
        "one table of events with a unit and a clock (`order_by`), without a privacy budget",
        ordered=True,
    ),
}
DATABASES = "relational"
"""The engine of several tables."""
USUAL, AUTO = "usual", "auto"
"""Names that stand for an engine: the one that fits by rule, and the one that wins a race."""


def engines() -> dict[str, EngineInfo]:
    """Every engine there is, built-in first."""
    from importlib.metadata import entry_points

    found = dict(BUILT_IN)
    for point in entry_points(group=GROUP):
        if point.name not in found:
            found[point.name] = EngineInfo(
                point.name, point.value, f"from {point.value}", "its own package", "see its docs"
            )
    return found


def resolve(name: str, *, private: bool, tables: int = 1) -> str:
    """The engine that `usual` stands for, and `auto` under a budget; others stand for themselves.

    A race would have to be paid for, and would leave less for the winner than it gains: under a
    budget the rule decides. Without one `auto` stays `auto`, for whoever holds the race. Raises
    `EngineError` when the engine keeps no privacy budget and one is asked for.
    """
    if tables > 1:
        return _of_databases(name)
    if name == USUAL or (name == AUTO and private):
        return "marginals" if private else "tree"
    if name == AUTO:
        return AUTO
    if name in engines() and engines()[name].several:
        raise EngineError(
            f"engine {name!r} makes databases of several tables, and the data is one. Leave the "
            "engine out, or name one for tables."
        )
    if private and not getattr(engine_class(name), "private", False):
        able = ", ".join(i.name for i in engines().values() if i.private and not i.several)
        raise EngineError(
            f"engine {name!r} keeps no privacy budget. Take one that does ({able}), or say --no-dp."
        )
    return name


def _of_databases(name: str) -> str:
    """The engine that makes databases: it has no rival to race against."""
    if name in (USUAL, AUTO, DATABASES):
        return DATABASES
    engine_class(name)
    if name in BUILT_IN:
        raise EngineError(
            f"engine {name!r} makes one table, and the data has several with keys between them. "
            f"Take the engine {DATABASES}, or name one file."
        )
    return name


def engine_class(name: str) -> Any:
    """The synthesizer class called `name`; raises `EngineError` with the nearest names."""
    known = engines()
    if name not in known:
        raise EngineError(f"no engine called {name!r}. {suggest(name, known)}")
    module, _, attribute = known[name].home.partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(name: str, **config: Any) -> Synthesizer:
    """A synthesizer by name; unknown options raise `EngineError`."""
    cls = engine_class(name)
    try:
        made: Synthesizer = cls(**config)
    except TypeError as error:
        raise EngineError(f"engine {name!r} does not take these options: {error}") from None
    return made


def configured(name: str, options: Mapping[str, Any], **shared: Any) -> Synthesizer:
    """A synthesizer with its own `options` and with those of a run's that it takes at all."""
    takes = signature(engine_class(name)).parameters
    return create(name, **{k: v for k, v in shared.items() if k in takes} | dict(options))


def load_model(folder: Path) -> Model:
    """A model saved by any engine; raises `SourceError` if `folder` holds none."""
    card = folder / MODEL_FILE
    if not card.is_file():
        raise SourceError(
            f"{folder} holds no model (no {MODEL_FILE}). Make one with: understudy fit"
        )
    try:
        engine = json.loads(card.read_text())["engine"]
    except (ValueError, KeyError) as error:
        raise FormatError(f"{card} is damaged: {error}") from None
    model: Model = engine_class(engine).load(folder)
    return model
