"""How deep a row stands in a hierarchy of its own table, so that made ones have no circles."""

from __future__ import annotations

import numpy as np

from understudy.synthesizers.relational.rows import NOBODY, Places

DEEPEST = 64


def depths(parents: Places) -> Places | None:
    """int64[rows]: 0 for roots, 1 for rows below them, ...; None where keys run in circles.

    A row that names itself is a root.
    """
    root = (parents == NOBODY) | (parents == np.arange(len(parents)))
    found = np.where(root, 0, -1).astype(np.int64)
    for _ in range(DEEPEST):
        open_ = np.flatnonzero(found < 0)
        if len(open_) == 0:
            return found
        above = found[parents[open_]]
        if not (above >= 0).any():
            return None
        found[open_] = np.where(above >= 0, above + 1, -1)
    return None
