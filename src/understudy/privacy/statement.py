"""The privacy statement of a run: what is promised to whom, and all it takes to check it.

It holds every charged event, so that anybody with `dp-accounting` (or paper, for Gaussians) can
compose them again; the numbers and hashes of the ledger's entries, so that the ledger's holder can
see that none is missing; and what the promise rests on. It holds no seed, as noise has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from understudy.errors import FormatError
from understudy.privacy.accountant import account, curve, epsilon_of, tpr_at
from understudy.privacy.audit import Audit
from understudy.privacy.budget import Budget
from understudy.privacy.events import dump_event, load_event
from understudy.privacy.ledger_session import LedgerSession
from understudy.privacy.second_accountant import second_opinion

FORMAT = 1
RELATION = "add or remove one unit"
ASSUMPTIONS = (
    "Names, kinds, forms of identifiers and stored types of columns are public, and so is "
    "everything listed under `public`.",
    "Two datasets are neighbours when one has one unit more, with all rows that belong to it. For "
    "exchanging one unit for another, compose the events at twice the sensitivity.",
    "Every release that understudy made of what its ledger recognises as this dataset is counted "
    "there; whoever holds the ledger answers for it being the only one. Releases by other means, "
    "and of tables with other rows of the same people, add to the loss.",
    "The decision to release is taken on private rows and tells one more bit, uncharged.",
    "Noise is drawn in floating point from a cryptographic stream keyed by the operating system; "
    "its deviation from the exact distributions is not part of epsilon and delta.",
    "How long a run took, and whether it failed, is not protected.",
)


def statement(
    session: LedgerSession, public: Mapping[str, str], audit: Audit | None = None
) -> dict[str, Any]:
    """The statement of the session's run; `public` says what was taken as known, and on whose word.

    `audit` is what canaries proved of this very run, where whoever ran it put canaries in.
    Raises `FormatError` for a run that spent nothing: it has no guarantee to state.
    """
    ledger, budget = session.ledger, session.budget
    charges = ledger.charges(session.dataset, session.unit, session.run)
    if not charges:
        raise FormatError(
            f"run {session.run!r} has no entry in the ledger {ledger.path}, so there is nothing to "
            "state about its privacy. Set $UNDERSTUDY_HOME to the ledger that it was made with."
        )
    events = [charge.event for charge in charges]
    spent = account(events, budget.delta)
    return {
        "format": FORMAT,
        "run": session.run,
        "dataset": session.dataset,
        "unit": session.unit,
        "rows_per_unit": session.rows_per_unit,
        "relation": RELATION,
        "budget": {"epsilon": budget.epsilon, "delta": budget.delta},
        "epsilon": spent.epsilon,
        "delta": spent.delta,
        "curve": [{"delta": a.delta, "epsilon": _number(a.epsilon)} for a in curve(events)],
        "tpr_at_fpr": [{"fpr": f, "tpr": t} for f, t in tpr_at(events).items()],
        "accountant": {
            "method": spent.accountant,
            "because": spent.because,
            "dp_accounting": spent.version,
            "understudy": version("understudy"),
        },
        "second_accountant": second_opinion(events, budget.delta).as_dict(),
        "audit": None if audit is None else audit.as_dict(),
        "events": [
            {
                "query": charge.query or None,
                "event": json.loads(dump_event(charge.event)),
                "entry": charge.entry,
                "hash": charge.hash,
                "time": charge.time,
            }
            for charge in charges
        ],
        "public": [{"what": what, "from": source} for what, source in public.items()],
        "all_runs": ledger.standing(session.dataset, session.unit).as_dict(),
        "assumptions": list(ASSUMPTIONS),
    }


def recompute(stated: Mapping[str, Any]) -> Budget:
    """What the events of a statement come to, whatever it claims; to compare with its epsilon."""
    if stated.get("format") != FORMAT:
        raise FormatError(
            f"a privacy statement of format {stated.get('format')!r}; this version of understudy "
            f"knows {FORMAT}. Update understudy."
        )
    events = [load_event(json.dumps(line["event"])) for line in stated["events"]]
    return Budget(epsilon_of(events, stated["delta"]), stated["delta"])


def _number(epsilon: float) -> float | None:
    """JSON has no infinity."""
    return epsilon if epsilon < float("inf") else None
