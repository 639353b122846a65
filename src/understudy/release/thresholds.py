"""The bounds of the gate, each with the reason it stands where it stands.

A bound is a choice, so every one can be changed, and whatever was used is printed in the
certificate with its source.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _bound(default: float, source: str) -> Any:
    return field(default=default, metadata={"source": source})


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Effect bounds and error rates of `decide`."""

    auc: float = _bound(
        0.53,
        "a coin decides membership at .50; at .53 the attacker wins 53 comparisons in 100 between "
        "a member and a stranger",
    )
    tpr_at_1: float = _bound(
        0.02,
        "at one false alarm in a hundred strangers an attacker without information finds one "
        "member in a hundred; the bound is twice that (low false-alarm rates: Carlini et al. "
        "2022, arXiv:2112.03570)",
    )
    stratum_tpr_at_5: float = _bound(
        0.15,
        "three times what guessing finds, the nearest bound that 400 rows a side can confirm",
    )
    stratum_tolerance: float = _bound(
        0.05,
        "a leak among unusual rows is one that at least doubles what guessing finds (.05 + .05)",
    )
    stratum_auc: float = _bound(
        0.55,
        "with 400 rows a side an AUC below .55 is within the noise of one sample",
    )
    stratum_rows: float = _bound(
        320.0,
        "groups hold 800 rows of members and strangers; one with fewer than 320 of either is too "
        "lopsided to judge",
    )
    family_p: float = _bound(
        0.05, "five audits in a hundred of harmless tables may raise a false alarm"
    )
    copies_p: float = _bound(
        0.05,
        "one-sided binomial test, shared (Bonferroni) by whole rows, rounded rows and rare keys",
    )
    copies_odds: float = _bound(
        1.10,
        "a repeated record may point to a member with odds of at most 1.1 to 1; coincidence "
        "gives 1 to 1",
    )
    closer_share: float = _bound(
        0.55,
        "two real samples give .50; beyond .55 synthetic rows clearly lean on the rows they "
        "learnt from. Averages over rows and so never clears a table alone (Yao et al. 2025, "
        "arXiv:2505.01524)",
    )
    tie_share: float = _bound(
        0.90, "where nine in ten distances tie, a comparison of distances sees nothing"
    )
    singling_out: float = _bound(
        0.05,
        "of a hundred bets that a predicate singles out somebody learnt from, five more come true "
        "than about strangers (Opinion 05/2014, WP216, names the risk and no number); 20,000 rows "
        "can confirm it: half-widths of .01 to .02 on harmless tables with 4,000 held out",
    )
    linkability: float = _bound(
        0.05,
        "five people in a hundred more than among strangers are linked across two sources (WP216 "
        "names the risk and no number)",
    )
    inference: float = _bound(
        0.05,
        "a secret is guessed right for five people in a hundred more than among strangers (WP216 "
        "names the risk and no number)",
    )
    power_auc: float = _bound(
        0.55, "an audit that cannot see an average AUC of .55 should clear nobody"
    )
    pair_ratio: float = _bound(
        3.0, "three times the distance between two real samples of this size"
    )
    relational_ratio: float = _bound(
        1.5, "for databases: one and a half times what held-out entities differ by, at equal sizes"
    )
    relational_least: float = _bound(
        0.05,
        "for databases: distances of distributions up to .05 pass whatever the floor, which is "
        "nothing where every parent has as many children",
    )
    relational_worst: float = _bound(
        0.15,
        "for databases: a pair of columns along the keys may be .15 of total variation further "
        "from held-out entities than real ones are; the largest excess of two real samples over "
        "hundreds of pairs is .05 to .1",
    )
    utility_loss: float = _bound(
        0.05,
        "a model trained on the synthetic rows may lose five points of its score on real rows",
    )
    rare_coverage: float = _bound(
        0.8,
        "held-out rare rows are met at least eight tenths as often as another real sample of the "
        "same size meets them",
    )
    rare_rate: float = _bound(
        1.5, "rare rows may be at most half as frequent again as in reality, and as much rarer"
    )
    rare_p: float = _bound(
        0.01,
        "stricter than the audit's own family-wise test, which judges the same leak with all "
        "attacks; a second test at .05 would double its false alarms",
    )

    def as_list(self) -> list[dict[str, Any]]:
        """`name`, `value` and `source` of every bound, for the certificate."""
        return [
            {"name": f.name, "value": getattr(self, f.name), "source": f.metadata["source"]}
            for f in fields(self)
        ]


DEFAULTS = Thresholds()
