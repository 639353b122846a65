"""Groups that somebody named, as masks over the challenged units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import Challenge
from understudy.schema import Table
from understudy.schema.conditions import parse_where


def masks(challenge: Challenge, groups: Sequence[str], spec: Table) -> dict[str, NDArray[np.bool_]]:
    """For each condition of `groups` the units that have a row which meets it."""
    found = {}
    for text in groups:
        rows = np.ones(challenge.pool.num_rows, bool)
        for name, domain in parse_where(text, spec).items():
            rows &= np.asarray(domain.mask(challenge.pool[name]))
        found[text] = np.bincount(challenge.unit_of[rows], minlength=len(challenge.is_member)) > 0
    return found
