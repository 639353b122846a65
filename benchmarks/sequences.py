"""Event histories: a bank's transactions and a month of card payments.

    python -m benchmarks sequences                      both tables
    python -m benchmarks.sequences berka [DRAWS]        or card_fraud

Entities are split .7/.2/.1. Every figure compares drawn histories with those of held-out entities,
as many on both sides, beside its floor: histories of real training entities, as many again, in
place of the drawn ones. Means over draws. C2ST is the cross-validated AUC of boosted trees on one
row of aggregates an entity; TSTR the PR-AUC of a fraud classifier on held-out customers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.measure import table
from benchmarks.tables import FOLDER
from understudy.schema.constraints import Running
from understudy.synthesizers.sequential import Events, fit_histories

DRAWS = 5
KIND = ["type", "operation", "k_symbol"]
Figures = dict[str, float]


def run() -> None:
    """Both tables."""
    berka()
    card_fraud()


def berka(draws: int = DRAWS) -> None:
    """Transactions of the 1,229 accounts that have any, each from its opening on."""
    train, holdout = parts(np.unique(bank()["account_id"]))
    events = bank_events(train)
    model, fitted = timed(lambda: fit_histories(events, seed=0))
    real = bank_frame(bank(), holdout)
    found: list[Figures] = []
    floors: list[Figures] = []
    speed: list[float] = []
    for seed in range(draws):
        chosen = np.random.default_rng(seed).choice(len(train), len(holdout), replace=False)
        context = events.context.take(pa.array(chosen))
        drawn, spent = timed(lambda c=context, s=seed: model.draw(c, seed=s))
        speed.append(drawn[0].num_rows / spent)
        found.append(bank_figures(drawn_frame(*drawn), real))
        floors.append(bank_figures(bank_frame(bank(), train[chosen]), real))
    report("berka transactions", found, floors)
    everyone, _ = timed(lambda: model.draw(events.context, seed=0))
    copied = copies(drawn_frame(*everyone), bank_frame(bank(), train))
    print(
        f"\nfit {fitted:.1f} s CPU, {np.mean(speed):,.0f} events/s a core, {copied} copied account"
    )


def card_fraud(draws: int = 2) -> None:
    """Payments of 4,952 customers at 10,000 terminals in July 2018, .88 % fraud."""
    cards = payments()
    train, holdout = parts(np.unique(cards["CUSTOMER_ID"]))
    learnt = cards[cards["CUSTOMER_ID"].isin(train)]
    events = card_events(learnt)
    model, fitted = timed(lambda: fit_histories(events, seed=0))
    held_out = fraud_features(cards[cards["CUSTOMER_ID"].isin(holdout)], cards)
    reached = pr_auc(fraud_features(learnt, learnt), held_out)
    found: list[Figures] = []
    for seed in range(draws):
        (drawn, customer), spent = timed(lambda s=seed: model.draw(events.context, seed=s))
        made = drawn.to_pandas()
        made["CUSTOMER_ID"] = customer
        found.append(
            card_figures(made, learnt)
            | {
                "TSTR PR-AUC": pr_auc(fraud_features(made, made), held_out),
                "events/s a core": drawn.num_rows / spent,
            }
        )
    other = cards[cards["CUSTOMER_ID"].isin(holdout)]
    floor = card_figures(other, learnt) | {"TSTR PR-AUC": reached, "events/s a core": np.nan}
    report("card payments", found, [floor])
    print(f"\nfit {fitted:.1f} s CPU")


def parts(ids: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Entities to learn from and held-out ones."""
    place = np.random.default_rng(0).random(len(ids))
    return ids[place < 0.7], ids[(place >= 0.7) & (place < 0.9)]


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The answer and its CPU-seconds."""
    started = time.process_time()
    answer = call()
    return answer, time.process_time() - started


def report(title: str, found: list[Figures], floors: list[Figures]) -> None:
    """A Markdown table of means beside floors."""
    rows = []
    for name in found[0]:
        ours = [f[name] for f in found]
        floor = [f[name] for f in floors]
        spread = f" ± {np.std(ours):.3f}" if len(ours) > 1 and abs(ours[0]) < 100 else ""
        rows.append([name, f"{np.mean(ours):,.3f}{spread}", f"{np.mean(floor):,.3f}"])
    table(title, ["measure", "drawn", "real"], rows)


# The bank


def bank() -> pd.DataFrame:
    """Transactions with days since 1970, in the order in which their balances add up."""
    if not _BANK:
        trans = pd.read_csv(FOLDER / "berka" / "trans.csv.gz")
        trans["day"] = days(trans["date"])
        trans["signed"] = np.where(trans["type"] == "PRIJEM", trans["amount"], -trans["amount"])
        _BANK.append(trans.iloc[booked(trans)].reset_index(drop=True))
    return _BANK[0]


_BANK: list[pd.DataFrame] = []


def days(dates: pd.Series) -> NDArray[np.int64]:
    """YYMMDD integers as days since 1970."""
    moments = pd.to_datetime("19" + dates.astype(str).str.zfill(6))
    return moments.to_numpy().astype("datetime64[D]").astype(np.int64)


def booked(trans: pd.DataFrame) -> NDArray[np.int64]:
    """Rows by account, day and, within a day, so that each balance follows from the one before."""
    order = np.lexsort((trans["trans_id"], trans["day"], trans["account_id"]))
    key = trans[["account_id", "day"]].to_numpy()[order]
    signed, balance = trans["signed"].to_numpy()[order], trans["balance"].to_numpy()[order]
    edges = np.flatnonzero(np.any(key[1:] != key[:-1], axis=1)) + 1
    found: list[int] = []
    before, account = 0.0, None
    for group in np.split(np.arange(len(order)), edges):
        if key[group[0], 0] != account:
            before, account = 0.0, key[group[0], 0]
        left = list(group)
        while left:
            nearest = min(left, key=lambda i: abs(before + signed[i] - balance[i]))
            left.remove(nearest)
            before = balance[nearest]
            found.append(nearest)
    return order[np.array(found)]


def bank_events(accounts: NDArray[np.int64]) -> Events:
    """Histories of `accounts`, with their opening date, district and frequency."""
    trans = bank()[bank()["account_id"].isin(accounts)]
    known = pd.read_csv(FOLDER / "berka" / "account.csv").set_index("account_id").loc[accounts]
    columns = {
        "date": pa.array(trans["day"].to_numpy(), pa.int32()).cast(pa.date32()),
        **{n: words(trans[n]) for n in ("type", "operation")},
        "amount": pa.array(trans["amount"].to_numpy()),
        "balance": pa.array(trans["balance"].to_numpy()),
        **{n: words(trans[n]) for n in ("k_symbol", "bank")},
        "account": pa.array(trans["account"].to_numpy(), from_pandas=True),
    }
    context = pa.table(
        {
            "frequency": words(known["frequency"]),
            "date": pa.array(days(known["date"]), pa.int32()).cast(pa.date32()),
        }
    )
    rule = Running(
        column="balance", amount="amount", by=("account_id",), sign="type", plus=("PRIJEM",)
    )
    entity = np.searchsorted(accounts, trans["account_id"].to_numpy())
    return Events(
        pa.table(columns), entity, context, "date", "date", running=(rule,), payees=("account",)
    )


def words(column: pd.Series) -> pa.Array:
    """Text with its gaps."""
    return pa.array(column.astype(object).to_numpy(), pa.string(), from_pandas=True)


def bank_frame(trans: pd.DataFrame, accounts: NDArray[np.int64]) -> pd.DataFrame:
    """Real transactions of `accounts` as `drawn_frame` has them."""
    frame = trans[trans["account_id"].isin(accounts)]
    kind = frame[KIND].fillna("").agg("|".join, axis=1)
    kept = frame[["account_id", "day", "amount", "signed", "balance"]]
    return kept.assign(kind=kind).rename(columns={"account_id": "entity"}).reset_index(drop=True)


def drawn_frame(drawn: pa.Table, entity: NDArray[np.int64]) -> pd.DataFrame:
    """entity, day, amount, signed, balance and kind of drawn transactions."""
    frame = drawn.select([*KIND, "amount", "balance"]).to_pandas()
    return pd.DataFrame(
        {
            "entity": entity,
            "day": drawn["date"].cast(pa.int32()).to_numpy(),
            "amount": frame["amount"],
            "signed": np.where(frame["type"] == "PRIJEM", frame["amount"], -frame["amount"]),
            "balance": frame["balance"],
            "kind": frame[KIND].fillna("").agg("|".join, axis=1),
        }
    )


def bank_figures(made: pd.DataFrame, real: pd.DataFrame) -> Figures:
    """How far `made` is from held-out histories."""
    from scipy.stats import ks_2samp

    def ks(values: Callable[[pd.DataFrame], NDArray[Any]]) -> float:
        return float(ks_2samp(values(made), values(real)).statistic)

    kinds = real["kind"].value_counts()
    by_kind = {
        kind: ks(lambda f, k=kind: gaps(f[f["kind"] == k]))
        for kind in kinds.index[kinds >= 200]
        if (made["kind"] == kind).sum() > 20
    }
    weight = kinds[list(by_kind)].to_numpy()
    dates = [f["day"].to_numpy().astype("datetime64[D]") for f in (made, real)]
    month_days = [
        (d - d.astype("datetime64[M]").astype("datetime64[D]")).astype(int) for d in dates
    ]
    week_days = [(f["day"].to_numpy() + 3) % 7 for f in (made, real)]
    cents = np.rint(made["signed"] * 10).groupby(made["entity"]).cumsum()
    return {
        "inter-event time KS": ks(gaps),
        "the same by kind, mean": float(np.average(list(by_kind.values()), weights=weight)),
        "the same by kind, worst": max(by_kind.values()),
        "events an account KS": ks(lambda f: f.groupby("entity").size().to_numpy()),
        "kind TV": tv(made["kind"], real["kind"]),
        "day of month TV": tv(*month_days),
        "weekday TV": tv(*week_days),
        "amount KS": ks(lambda f: f["amount"].to_numpy()),
        "balance KS": ks(lambda f: f["balance"].to_numpy()),
        "amount autocorrelation": follows(made),
        "... held out": follows(real),
        "repeated amounts": repeated(made),
        "... held out ": repeated(real),
        "balance identity": float(np.mean(np.rint(made["balance"] * 10) == cents)),
        "entity C2ST AUC": c2st(aggregates(made), aggregates(real)),
    }


def gaps(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Days between consecutive events of an entity."""
    day, entity = frame["day"].to_numpy(), frame["entity"].to_numpy()
    return (day[1:] - day[:-1])[entity[1:] == entity[:-1]]


def tv(made: Any, real: Any) -> float:
    """Total variation between two samples of levels."""
    shares = [pd.Series(np.asarray(v)).value_counts(normalize=True) for v in (made, real)]
    return float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)


def follows(frame: pd.DataFrame) -> float:
    """Correlation of log amounts of consecutive events of one kind in one account."""
    ordered = frame.sort_values(["entity", "kind"], kind="stable")
    log = np.log1p(ordered["amount"].to_numpy())
    log = log - pd.Series(log).groupby(ordered["kind"].to_numpy()).transform("mean").to_numpy()
    same = _same(ordered, ["entity", "kind"])
    return float(np.corrcoef(log[1:][same], log[:-1][same])[0, 1])


def repeated(frame: pd.DataFrame) -> float:
    """Share of amounts that equal the one before of the kind in the account."""
    ordered = frame.sort_values(["entity", "kind"], kind="stable")
    same, amount = _same(ordered, ["entity", "kind"]), ordered["amount"].to_numpy()
    return float(np.mean((amount[1:] == amount[:-1])[same]))


def _same(frame: pd.DataFrame, by: list[str]) -> NDArray[np.bool_]:
    values = [frame[name].to_numpy() for name in by]
    return np.all([v[1:] == v[:-1] for v in values], axis=0)


def aggregates(frame: pd.DataFrame) -> pd.DataFrame:
    """One row an account: counts by kind, amounts, balances and gaps."""
    by = frame.groupby("entity")
    counts = frame.groupby(["entity", "kind"]).size().unstack(fill_value=0)
    gap = by["day"].diff()
    return pd.concat(
        [
            counts,
            by["amount"].agg(["mean", "min", "max"]).add_prefix("amount "),
            by["balance"].agg(["mean", "min", "max", "last"]).add_prefix("balance "),
            gap.groupby(frame["entity"]).agg(["mean", "max", "std"]).add_prefix("gap "),
        ],
        axis=1,
    )


def c2st(made: pd.DataFrame, real: pd.DataFrame) -> float:
    """Cross-validated AUC of telling `made` rows from `real` ones."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    both = pd.concat([made, real], ignore_index=True).fillna(0)
    side = np.r_[np.zeros(len(made)), np.ones(len(real))]
    order = np.random.default_rng(0).permutation(len(side))
    model = HistGradientBoostingClassifier(random_state=0)
    x = both.to_numpy()[order]
    return float(cross_val_score(model, x, side[order], cv=5, scoring="roc_auc").mean())


def copies(made: pd.DataFrame, real: pd.DataFrame) -> int:
    """Drawn accounts of more than three events whose amounts are those of a real account."""
    keys = [
        {tuple(v) for v in f.groupby("entity")["amount"].agg(list) if len(v) > 3}
        for f in (made, real)
    ]
    return len(keys[0] & keys[1])


# The cards


def payments() -> pd.DataFrame:
    """The card log, by customer and time."""
    path = FOLDER / "card_fraud" / "transactions_2018-07.csv.gz"
    cards = pd.read_csv(path, parse_dates=["TX_DATETIME"])
    return cards.sort_values(["CUSTOMER_ID", "TX_DATETIME"], kind="stable").reset_index(drop=True)


def card_events(cards: pd.DataFrame) -> Events:
    """Histories of customers of whom nothing is known; columns that follow from others are left."""
    ids, entity = np.unique(cards["CUSTOMER_ID"], return_inverse=True)
    columns = {
        "TX_DATETIME": pa.array(cards["TX_DATETIME"].to_numpy().astype("datetime64[s]")),
        "TERMINAL_ID": pa.array(cards["TERMINAL_ID"].to_numpy()),
        "TX_AMOUNT": pa.array(cards["TX_AMOUNT"].to_numpy()),
        "TX_FRAUD": pa.array(cards["TX_FRAUD"].to_numpy()),
    }
    nothing = pa.table({"customer": pa.array(np.zeros(len(ids), np.int8))})
    return Events(pa.table(columns), entity, nothing, "TX_DATETIME", payees=("TERMINAL_ID",))


def fraud_features(cards: pd.DataFrame, everyone: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
    """What is known at each payment, and whether it is fraud; terminals know `everyone`'s."""
    ordered = cards.sort_values(["CUSTOMER_ID", "TX_DATETIME"], kind="stable")
    by = ordered.groupby("CUSTOMER_ID")
    count = by.cumcount()
    mean = (by["TX_AMOUNT"].cumsum() - ordered["TX_AMOUNT"]) / count.clip(lower=1)
    features = pd.DataFrame(
        {
            "amount": ordered["TX_AMOUNT"],
            "hour": ordered["TX_DATETIME"].dt.hour,
            "weekday": ordered["TX_DATETIME"].dt.day_of_week,
            "count": count,
            "mean": mean.where(count > 0),
            "ratio": (ordered["TX_AMOUNT"] / mean).where(count > 0),
            "days since": by["TX_DATETIME"].diff().dt.total_seconds() / 86_400,
            "frauds": by["TX_FRAUD"].cumsum() - ordered["TX_FRAUD"],
            "same terminal": ordered.groupby(["CUSTOMER_ID", "TERMINAL_ID"]).cumcount(),
        }
    )
    return features.join(terminal_history(everyone)), ordered["TX_FRAUD"].to_numpy()


def terminal_history(cards: pd.DataFrame) -> pd.DataFrame:
    """Payments and frauds at the terminal before each payment."""
    ordered = cards.sort_values(["TX_DATETIME"], kind="stable")
    by = ordered.groupby("TERMINAL_ID")["TX_FRAUD"]
    return pd.DataFrame(
        {
            "terminal payments": by.cumcount(),
            "terminal frauds": by.cumsum() - ordered["TX_FRAUD"],
            "terminal last": by.shift(),
        }
    )


def pr_auc(train: tuple[pd.DataFrame, Any], test: tuple[pd.DataFrame, Any]) -> float:
    """Average precision on `test` of boosted trees learnt from `train`."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score

    scores = []
    for seed in range(3):
        model = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=40,
            random_state=seed,
        )  # fmt: skip
        model.fit(train[0].to_numpy(), train[1])
        score = model.predict_proba(test[0].to_numpy())[:, 1]
        scores.append(average_precision_score(test[1], score))
    return float(np.mean(scores))


def card_figures(made: pd.DataFrame, real: pd.DataFrame) -> Figures:
    """How far `made` payments are from `real` ones."""
    from scipy.stats import ks_2samp

    def ks(values: Callable[[pd.DataFrame], Any]) -> float:
        return float(ks_2samp(values(made), values(real)).statistic)

    return {
        "fraud rate ratio": float(made["TX_FRAUD"].mean() / real["TX_FRAUD"].mean()),
        "inter-event time KS": ks(lambda f: f.groupby("CUSTOMER_ID")["TX_DATETIME"].diff().dropna()
                                  .dt.total_seconds()),
        "hour KS": ks(lambda f: f["TX_DATETIME"].dt.hour),
        "amount KS": ks(lambda f: f["TX_AMOUNT"]),
        "amount of frauds KS": ks(lambda f: f["TX_AMOUNT"][f["TX_FRAUD"] == 1]),
        "events a customer KS": ks(lambda f: f.groupby("CUSTOMER_ID").size()),
        "terminals a customer KS": ks(lambda f: f.groupby("CUSTOMER_ID")["TERMINAL_ID"].nunique()),
        "mean amount a customer KS": ks(lambda f: f.groupby("CUSTOMER_ID")["TX_AMOUNT"].mean()),
        "frauds at a terminal KS": ks(lambda f: f.groupby("TERMINAL_ID")["TX_FRAUD"].sum()),
    }  # fmt: skip


if __name__ == "__main__":
    {"berka": berka, "card_fraud": card_fraud}[sys.argv[1]](*map(int, sys.argv[2:]))
