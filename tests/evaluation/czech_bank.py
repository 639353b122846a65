"""The Czech bank's eight tables with their keys, parted by account."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from understudy.data import Dataset, read
from understudy.evaluation.relational.database import count, entities, only
from understudy.schema import ForeignKey, Identifier, Schema, Unit

PRIMARY = {
    "account": "account_id",
    "client": "client_id",
    "disp": "disp_id",
    "order": "order_id",
    "loan": "loan_id",
    "card": "card_id",
    "trans": "trans_id",
    "district": "A1",
}
FOREIGN = {
    "account": (("district_id", "district"),),
    "client": (("district_id", "district"),),
    "disp": (("client_id", "client"), ("account_id", "account")),
    "order": (("account_id", "account"),),
    "loan": (("account_id", "account"),),
    "card": (("disp_id", "disp"),),
    "trans": (("account_id", "account"),),
    "district": (),
}


def bank(folder: Path) -> Dataset:
    """The database as it stands, the account being the unit."""
    data = read(folder)
    tables = []
    for spec in data.schema.tables:
        links = FOREIGN[spec.name]
        keys = {PRIMARY[spec.name], *(column for column, _ in links)}
        columns = tuple(
            Identifier(name=c.name, nullable=c.nullable) if c.name in keys else c
            for c in spec.columns
        )
        changes = {
            "columns": columns,
            "primary_key": (PRIMARY[spec.name],),
            "foreign_keys": tuple(
                ForeignKey(columns=(column,), table=parent, references=(PRIMARY[parent],))
                for column, parent in links
            ),
            "order_by": "date" if spec.name == "trans" else None,
            "role": "reference" if spec.name == "district" else "owned",
        }
        tables.append(spec.model_copy(update=changes))
    unit = Unit(of="entity", table="account", column="account_id")
    return Dataset(Schema(tables=tuple(tables), unit=unit), data.tables)


def part(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Two databases without an entity in common."""
    entity = entities(data)
    units = count(entity)
    kept = np.zeros(units, bool)
    kept[np.random.default_rng(seed).permutation(units)[: round(share * units)]] = True
    return only(data, entity, kept)[0], only(data, entity, ~kept)[0]


def parts(folder: Path, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    """Train, holdout and reference: .7, .2, .1 of the accounts."""
    train, rest = part(bank(folder), 0.7, seed)
    holdout, reference = part(rest, 2 / 3, seed)
    return train, holdout, reference
