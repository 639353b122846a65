"""The Czech bank without its log: keys, counts, couples, loans and the orders that pay them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.evaluation.czech_bank import parts
from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.schema import Datetime, Number
from understudy.synthesizers.relational.engine import RelationalSynthesizer

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "berka"


@pytest.fixture(scope="module")
def pair() -> tuple[Dataset, Dataset]:
    """The training part and a database as large."""
    if not FOLDER.is_dir():
        pytest.skip(f"the real bank is not on this machine ({FOLDER})")
    real = parts(FOLDER, 0)[0]
    schema = real.schema.model_copy(
        update={"tables": tuple(s for s in real.schema.tables if s.name != "trans")}
    )
    client = schema.table("client")
    born = Number(name="birth_number", integer=True)
    columns = tuple(born if c.name == born.name else c for c in client.columns)
    schema = schema.with_table(client.model_copy(update={"columns": columns}))
    real = Dataset(schema, {n: t for n, t in real.tables.items() if n != "trans"})
    model = RelationalSynthesizer(seed=0).fit(real)
    return real, model.sample(model.rows)


def of(child: pa.Table, column: str, parent: pa.Table, key: str) -> np.ndarray:  # type: ignore[type-arg]
    """The row of `parent` that each row of `child` points at."""
    return np.asarray(pc.index_in(child[column], value_set=parent[key].combine_chunks()))


def test_the_bank_holds_together(pair: tuple[Dataset, Dataset]) -> None:
    real, fake = pair
    check_integrity(fake)
    assert fake.tables["district"].equals(real.tables["district"])
    for name, key in (("client", "client_id"), ("loan", "loan_id"), ("order", "order_id")):
        known = real.tables[name][key].combine_chunks()
        assert not pc.any(pc.is_in(fake.tables[name][key], value_set=known)).as_py()


def test_child_counts_are_near(pair: tuple[Dataset, Dataset]) -> None:
    for child in ("disp", "loan", "order"):
        shares = []
        for data in pair:
            account = data.tables["account"]
            place = of(data.tables[child], "account_id", account, "account_id")
            counts = np.bincount(place, minlength=account.num_rows)
            shares.append(np.cumsum(np.bincount(counts, minlength=8)) / account.num_rows)
        assert np.abs(shares[0] - shares[1]).max() <= 0.03


def test_joint_accounts_are_held_by_couples(pair: tuple[Dataset, Dataset]) -> None:
    found = []
    for data in pair:
        disp, client = data.tables["disp"], data.tables["client"]
        year = np.asarray(client["birth_number"], np.int64) // 10_000
        account = np.asarray(disp["account_id"])
        age = year[of(disp, "client_id", client, "client_id")]
        order = np.argsort(account, kind="stable")
        two = np.flatnonzero(account[order][1:] == account[order][:-1])
        pairs = age[order[two]], age[order[two + 1]]
        found.append(np.corrcoef(*pairs)[0, 1])
    # Drawn each by himself the two are as far apart as any two clients: a correlation of 0.
    assert found[0] > 0.9
    assert found[1] > 0.7


def test_orders_pay_loans_and_loans_are_paid_off(pair: tuple[Dataset, Dataset]) -> None:
    shares = []
    for data in pair:
        order, loan = data.tables["order"], data.tables["loan"]
        place = of(order, "account_id", loan, "account_id")
        there = np.isfinite(place.astype(float))
        rate = np.asarray(loan["payments"], float)[place[there].astype(int)]
        shares.append(np.mean(np.asarray(order["amount"], float)[there] == rate))
        whole = np.asarray(loan["payments"], float) * np.asarray(loan["duration"], float)
        assert (whole == np.asarray(loan["amount"], float)).all()
    assert shares[0] > 0.2
    assert shares[1] > 0.15


def test_nothing_comes_before_the_account(pair: tuple[Dataset, Dataset]) -> None:
    _, fake = pair
    assert isinstance(fake.schema.table("loan").column("date"), Datetime)
    loan, account = fake.tables["loan"], fake.tables["account"]
    place = pa.array(of(loan, "account_id", account, "account_id"))
    assert pc.all(pc.less_equal(account["date"].take(place), loan["date"])).as_py()
