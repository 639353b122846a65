"""The method appendix: every measure and every line with the null that it is held against.

A null is what a table that leaks nothing, or a second real sample, would score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.guarantee_lines import GUARANTEE, TRIED, TWICE
from understudy.release.guideline_lines import INFERENCE, LINKABILITY, SINGLING_OUT
from understudy.release.privacy_lines import AVERAGE, UNUSUAL
from understudy.release.versions import versions
from understudy.release.white_box_lines import NAME

BOOTSTRAP = "bootstrap samples of the training rows, as large as the synthetic table"
TRAIN = "training rows in the synthetic rows' place, at equal size"
ENTITIES = "training entities in the synthetic ones' place, against held-out ones at equal size"
RELATIONAL = (
    "child_counts",
    "reference_loads",
    "pairings",
    "empty_keys",
    "parent_child",
    "two_hop",
    "lengths",
    "gaps",
    "ends",
    "same_day",
    "calendar",
    "autocorrelation",
    "persistence",
    "motifs",
    "recurrences",
    "tails",
)
NULLS = {
    "integrity": "the real database",
    "key_uniqueness": "the real database",
    "identity": "the real rows, in the order in which they were given",
    **dict.fromkeys(RELATIONAL, f"bootstrap samples of training entities; holdout: {ENTITIES}"),
    "workload": ENTITIES,
    "shape_error_holdout": TRAIN,
    "shape_error": BOOTSTRAP,
    "wasserstein": BOOTSTRAP,
    "pair_error": BOOTSTRAP,
    "trend_error": BOOTSTRAP,
    "triple_error": BOOTSTRAP,
    "information_error": BOOTSTRAP,
    "correlation_error": BOOTSTRAP,
    "levels_kept": "draws of the same size from the shares of the training rows",
    "alpha_precision": TRAIN,
    "beta_recall": TRAIN,
    "density": TRAIN,
    "coverage": TRAIN,
    "c2st": TRAIN,
    "detection": TRAIN,
    "tstr": "the same model trained on as many real rows",
    "trts": "the same model judged on held-out rows",
    "augmented_few": "the same model trained on those few real rows alone",
    "augmented": "the same model trained on the real rows alone",
}
"""By the beginning of a measurement's name, longer ones first where they share one."""
COIN = "a coin; for many attacks at once, labels of members and strangers permuted"
LINES = (
    ("a fair comparison", "AUC between rows learnt from and rows held out", "a coin"),
    (
        "copies",
        "unique records, rounded records, rare values, whole profiles that reappear",
        "how many of the held-out ones reappear; one-sided binomial test, shared by all kinds",
    ),
    ("closeness", "share of synthetic rows nearer to a row learnt from", "one half"),
    (GUARANTEE, "epsilon of everything charged to the run", "what the run was allowed"),
    (TWICE, "epsilon of the same events by a second accountant", "what the first says"),
    (TRIED, "epsilon that canaries in the run prove, where there were any", "what is claimed"),
    (AVERAGE, "AUC of membership attacks; the upper bound covers the best of them", COIN),
    (
        "membership, few false alarms",
        "members found at 1 % false alarms; the threshold is set on other strangers",
        "1 %",
    ),
    (UNUSUAL, "members found at 5 % false alarms among the most unusual records", f"5 %; {COIN}"),
    (SINGLING_OUT, "predicates that hold for just one person learnt from", "just one stranger"),
    (LINKABILITY, "halves of a record linked through the table", "halves of strangers' records"),
    (
        INFERENCE,
        "a column guessed from the others, with what real rows tell taken out",
        "the same guesses about strangers",
    ),
    (NAME, "AUC of what the model itself says of a record, where the model leaves", COIN),
    ("pair error", "mean total variation of all pairs of columns, numbers in deciles", BOOTSTRAP),
    ("usefulness", "score on held-out rows of a model trained on synthetic rows", NULLS["tstr"]),
    ("rare rows kept", "held-out rare rows that the synthetic rows meet", "another real sample"),
    ("rate of rare rows", "how often rare rows occur", "their rate among held-out rows"),
    (
        "rare rows copied",
        "rare rows learnt from, told from rare rows never seen",
        "a coin; labels permuted over all tails",
    ),
)
DATABASE_LINES = (
    ("keys", "foreign keys that resolve, primary keys that are unique", "all of them"),
    ("balances", "rows whose declared running balance follows from the one before", "all of them"),
    ("children", "Kolmogorov-Smirnov distance of the number of children a parent has", ENTITIES),
    ("parents and children", "total variation of columns one key apart", ENTITIES),
    ("two keys apart", "total variation of grandparents, siblings and aggregates", ENTITIES),
    ("worst pair", "largest excess over its floor of a pair of columns along keys", ENTITIES),
    ("histories", "lengths, gaps, calendar, memory and motifs; the worst of them", ENTITIES),
)
"""Of databases only."""


def method(run: Mapping[str, Any]) -> dict[str, Any]:
    """`measures` (of this run), `lines` (of the gate, whether told of or not), and `versions`."""
    card = run.get("scorecard") or {}
    measured = card.get("measurements") or {}
    lines = (*LINES, *DATABASE_LINES) if card.get("kind") == "database" else LINES
    return {
        "measures": [
            {**found, "name": name, "null": null_of(name)} for name, found in measured.items()
        ],
        "lines": [{"name": n, "measure": what, "null": null} for n, what, null in lines],
        "versions": versions(run.get("understudy")),
    }


def null_of(measure: str) -> str:
    """What a measurement's floor is."""
    return next((null for name, null in NULLS.items() if measure.startswith(name)), "see meaning")
