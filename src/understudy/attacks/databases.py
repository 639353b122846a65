"""Attacks on a database: the battery on one profile per entity, and every table's rows behind it.

The unit is the entity, so whatever is scored is scored per entity: its profile as a row of its own,
and its rows in each table, summed up as `entities` does for a table with a unit. All scores are
judged together, corrected once. Copies are looked for in profiles (whole, rounded, rare values of a
few columns), in histories (all cells of one column, all rows of one table, in whatever order) and
row by row (entities most of whose unique rows reappear).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.attacks.battery import Battery, attack
from understudy.attacks.challenge import Challenge, set_up
from understudy.attacks.copies import KeyTest, row_keys
from understudy.attacks.entities import by_unit, multisets, profile_copies, profile_scores
from understudy.attacks.membership import Score, scores
from understudy.data.dataset import Dataset
from understudy.encoding.profiles import ENTITY, Profiler
from understudy.errors import SourceError
from understudy.evaluation.relational.database import Rows, entities
from understudy.evaluation.samples import ROLES, align
from understudy.evaluation.statistics import midranks
from understudy.runtime.progress import Progress, silent
from understudy.runtime.random import stream
from understudy.schema import LEARNT_KINDS, Identifier, Schema, Table, Unit

FEWEST_ENTITIES = 20
"""Challenged entities with rows in a table below which its rows are not attacked."""
MOST = 0.5
"""An entity is repeated row by row when more than this share of its unique rows reappear."""


@dataclass(frozen=True)
class Owned:
    """One owned table of all samples, with the number of each row's entity as a column."""

    schema: Schema
    tables: Mapping[str, pa.Table]

    @property
    def spec(self) -> Table:
        return self.schema.table()


def attack_database(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Battery:
    """Attacks `synthetic` as people would who look for entities of `train`.

    Real samples share no entities; reference tables are not attacked. Deterministic in `seed`.
    Raises `SourceError` where no row belongs to an entity or real samples share entities.
    """
    data = {
        role: Dataset(
            train.schema,
            {name: align(given.tables[name], table) for name, table in train.tables.items()},
        )
        for role, given in zip(ROLES, (train, holdout, reference, synthetic), strict=True)
    }
    entity = {role: entities(found) for role, found in data.items()}
    _refuse_shared_units(data, train.schema)
    profiler = Profiler.fit(data["reference"], entity["reference"])
    profiles = {role: profiler.profiles(data[role], entity[role]) for role in ROLES}
    tables = _owned_tables(data, entity)
    if not tables:
        raise SourceError("no table has rows that belong to an entity; name the unit.")
    told: list[str] = []
    battery = attack(
        *(profiles[role] for role in ROLES),
        also=_row_scores(tables, seed, told),
        seed=seed,
        progress=progress,
    )
    tests = [test for owned in tables for test in history_copies(owned) if test.train]
    unit = train.schema.unit
    named = f"{unit.table}.{unit.column}" if unit.column else "entity"
    return replace(
        battery,
        unit=named,
        profiles=(*battery.profiles, *tests),
        notes=(*battery.notes, *told),
    )


def history_copies(owned: Owned) -> list[KeyTest]:
    """Entities whose histories turn up: column by column, whole, and row by row.

    Histories of one row are no business of the first two, and may leave them without entities.
    """
    name = owned.spec.name
    found = [
        replace(test, columns=(f"{name}.{test.columns[0]}",))
        for test in profile_copies(owned.tables, owned.schema)
    ]
    keys = row_keys(owned.tables, owned.spec)
    if keys is None:
        return found
    found.append(multisets((f"rows of {name}",), keys, owned.tables, ENTITY))
    found.append(_repeated(f"most rows of {name}", keys, owned.tables))
    return found


def _repeated(
    name: str, keys: Mapping[str, NDArray[np.int64]], tables: Mapping[str, pa.Table]
) -> KeyTest:
    """Entities more than half of whose rows, of those that occur once in reality, reappear."""
    real = np.concatenate([keys[role] for role in ("train", "holdout", "reference")])
    values, counts = np.unique(real, return_counts=True)
    once, made = values[counts == 1], np.unique(keys["synthetic"])
    hits, sizes = [], []
    for role in ("train", "holdout", "reference"):
        owner = tables[role][ENTITY].to_numpy()
        unique = np.isin(keys[role], once)
        again = unique & np.isin(keys[role], made)
        tried = np.bincount(owner[unique])
        met = np.bincount(owner[again], minlength=len(tried))
        sizes.append(int((tried > 0).sum()))
        hits.append(int((met > MOST * tried).sum()))
    return KeyTest((name,), sizes[0], sizes[1] + sizes[2], hits[0], hits[1] + hits[2])


def _row_scores(
    tables: Sequence[Owned], seed: int, told: list[str]
) -> Callable[[Challenge], list[Score]]:
    """What the rows of each table tell of the entities that a challenge of profiles drew; how many
    of them were asked goes into `told`.
    """

    def found(challenge: Challenge) -> list[Score]:
        pool = challenge.pool[ENTITY].to_numpy().astype(np.int64)
        return [
            score for owned in tables for score in _of_table(owned, challenge, pool, seed, told)
        ]

    return found


def _of_table(
    owned: Owned, challenge: Challenge, pool: Rows, seed: int, told: list[str]
) -> list[Score]:
    """Row attacks summed up per entity; entities without rows in the table score in the middle.

    A table with a row an entity says no more than the profile does, and is left out.
    """
    name, member = owned.spec.name, challenge.is_member
    chosen = {"train": pool[member], "holdout": pool[~member]}
    drawn = dict(owned.tables)
    for role, wanted in chosen.items():
        owner = drawn[role][ENTITY].to_numpy()
        drawn[role] = drawn[role].filter(pa.array(np.isin(owner, wanted)))
    if drawn["train"].num_rows <= len(np.unique(drawn["train"][ENTITY].to_numpy())):
        return []
    rng = stream(seed, "attacks", "table", name)
    inner = set_up(drawn, owned.schema, rng)
    if inner is None or inner.members < FEWEST_ENTITIES:
        return []
    told.append(
        f"rows of {name}: {len(inner.is_member):,} of {len(member):,} challenged entities "
        "asked; the others count as undecided"
    )
    tried = by_unit(inner, list(scores(inner, [], stream(seed, "attacks", "rows", name))))
    tried += profile_scores(inner, drawn, owned.schema, stream(seed, "attacks", "mix", name))
    place = _places(inner, chosen, member)
    return [
        Score(f"{score.name}, {name}", score.attacker, _spread(score, place, len(member)))
        for score in tried
    ]


def _places(inner: Challenge, chosen: Mapping[str, Rows], member: NDArray[np.bool_]) -> Rows:
    """The place among the challenged profiles of each unit of a table's own challenge."""
    first = np.full(len(inner.is_member), -1)
    first[inner.unit_of[::-1]] = np.arange(len(inner.unit_of))[::-1]
    number = inner.pool[ENTITY].to_numpy().astype(np.int64)[first]
    found = np.empty(len(first), np.int64)
    for role, ours, theirs in (
        ("train", inner.is_member, member),
        ("holdout", ~inner.is_member, ~member),
    ):
        order = np.argsort(chosen[role])
        at = np.searchsorted(chosen[role][order], number[ours])
        found[ours] = np.flatnonzero(theirs)[order[at]]
    return found


def _spread(score: Score, place: Rows, count: int) -> NDArray[np.float64]:
    ranks = midranks(score.values)
    values = np.full(count, (len(ranks) + 1) / 2.0)
    values[place] = ranks
    return values


def _owned_tables(
    data: Mapping[str, Dataset], entity: Mapping[str, Mapping[str, Rows]]
) -> list[Owned]:
    """Every owned table with its learnt columns; the entity is the unit."""
    found = []
    for spec in data["train"].schema.tables:
        if not (entity["train"][spec.name] >= 0).any():
            continue
        learnt = tuple(c for c in spec.columns if c.kind in LEARNT_KINDS)
        if not learnt:
            continue
        columns = (Identifier(name=ENTITY, nullable=False), *learnt)
        schema = Schema(
            tables=(Table(name=spec.name, columns=columns),),
            unit=Unit(of="entity", table=spec.name, column=ENTITY),
        )
        tables = {role: _with_entity(data[role], entity[role], spec.name, learnt) for role in ROLES}
        found.append(Owned(schema, tables))
    return found


def _with_entity(
    data: Dataset, entity: Mapping[str, Rows], name: str, learnt: Sequence[object]
) -> pa.Table:
    whose = entity[name]
    names = [column.name for column in learnt]  # type: ignore[attr-defined]
    table = data.tables[name].select(names).add_column(0, ENTITY, pa.array(whose))
    return table.filter(pa.array(whose >= 0))


def _refuse_shared_units(data: Mapping[str, Dataset], schema: Schema) -> None:
    """Entities in train and holdout alike are no control."""
    import pyarrow.compute as pc

    unit = schema.unit
    if unit.column is None:
        return
    name = schema.table(unit.table).name
    known, held = (data[role].tables[name][unit.column].unique() for role in ("train", "holdout"))
    shared = pc.sum(pc.is_in(held.drop_null(), value_set=known)).as_py() or 0
    if shared:
        raise SourceError(
            f"{shared:,} of the {len(held):,} values of {name}.{unit.column} in the holdout occur "
            "in the training data too. Entities that were learnt from are no control: split by "
            f"{name}.{unit.column}, so that each is on one side only."
        )
