"""Histories by trees and by the recurrent network, under one judge.

    python -m benchmarks recurrent                     the Czech bank, then the cards
    python -m benchmarks.recurrent berka [SEED]        or cards

The bank is made whole by the relational engine, its transactions by one and then by the other, and
judged as a database (`evaluate_database`): all that the judge says of histories and entities. The
cards are judged as in `benchmarks.sequences`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.berka import berka as bank
from benchmarks.measure import table
from benchmarks.tables import FOLDER
from understudy.data.splitting import split
from understudy.evaluation import evaluate_database
from understudy.evaluation.databases import DatabaseCard
from understudy.synthesizers.relational import events
from understudy.synthesizers.relational.engine import RelationalSynthesizer
from understudy.synthesizers.sequential import Events, fit_histories
from understudy.synthesizers.sequential.recurrent import fit_recurrent

Fit = Callable[..., Any]
LEFT = ("c2st_rows_order", "c2st_rows_loan", "c2st_rows_card")
"""Judges that see no transaction."""


def run() -> None:
    """Both tables."""
    berka()
    cards()


def berka(seed: int = 0) -> None:
    """A row a measure, a column a variant, and what real entities score."""
    parts = split(bank(FOLDER / "berka"), seed=seed)
    found: dict[str, DatabaseCard] = {}
    spent = {}
    for name, fit in (("trees", fit_histories), ("recurrent", recurrent)):
        with histories_by(fit):
            started = time.process_time()
            model = RelationalSynthesizer(seed=seed).fit(parts.train)
            spent[name] = time.process_time() - started
        made = model.sample(model.rows, seed=seed + 1)
        found[name] = evaluate_database(
            parts.train, parts.holdout, parts.reference, made, seed=seed
        )
    measured = {name: card.measurements for name, card in found.items()}
    rows = [
        [
            name,
            *(_interval(measured[v][name]) for v in measured),
            f"{one.floor:.3f}" if one.floor is not None else "",
        ]
        for name, one in measured["trees"].items()
        if name not in LEFT
    ]
    rows.append(["fit of the database, CPU s", *(f"{spent[v]:.0f}" for v in spent), ""])
    table("the Czech bank, transactions by", ["measure", *measured, "real"], rows)


def cards() -> None:
    """Payments: the tables of `benchmarks.sequences`, by trees and then by the network."""
    from benchmarks import sequences

    sequences.card_fraud(1)
    trees = sequences.fit_histories
    sequences.fit_histories = recurrent
    try:
        sequences.card_fraud(1)
    finally:
        sequences.fit_histories = trees


def recurrent(given: Events, *, seed: int, **_: Any) -> Any:
    """The network in the place of trees, whose growth and workers it does not need."""
    return fit_recurrent(given, seed=seed)


@contextmanager
def histories_by(fit: Fit) -> Iterator[None]:
    """Within this, the relational engine learns histories with `fit`."""
    before = events.fit_histories
    events.fit_histories = fit
    try:
        yield
    finally:
        events.fit_histories = before


def _interval(one: Any) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


if __name__ == "__main__":
    {"berka": berka, "cards": cards}[sys.argv[1]](*map(int, sys.argv[2:]))
