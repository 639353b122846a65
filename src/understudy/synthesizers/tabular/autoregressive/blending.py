"""How far to trust the network in each column: its chances are mixed with the column's own shares.

A column that hangs on nothing makes a network learn noise. On rows that no step saw, the mixture
that makes their cells most likely shows it; where the network is right the share of the column is
zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from understudy.encoding.discrete import Floats
from understudy.synthesizers.tabular.autoregressive.drawing import Drawing
from understudy.synthesizers.tabular.autoregressive.tokens import Tokens

SHARES = np.linspace(0.0, 1.0, 41)
FEWEST = 200
"""Rows held out below which nothing is mixed: they could not tell."""


def blended(drawing: Drawing, held_out: Tokens) -> Drawing:
    """`drawing` with the shares by which columns are mixed, found in its usual order."""
    if len(held_out) < FEWEST:
        return drawing
    blends: dict[str, float] = {}
    state = drawing.forward.blank(len(held_out))
    seen: list[int] = []
    for name in drawing.order:
        coding = drawing.codings[name]
        for k, token in enumerate(drawing.places[name]):
            codes = held_out[:, token]
            if k == 0 and seen:
                chances = drawing.forward.chances(state, token)
                own = chances[np.arange(len(codes)), codes].astype(np.float64)
                blends[name] = _best(own, coding.margin[codes])
            drawing.forward.see(state, token, codes)
            seen.append(token)
    return replace(drawing, blends={name: share for name, share in blends.items() if share > 0})


def _best(own: Floats, margin: Floats) -> float:
    """The share of `margin` under which what was found is most likely."""
    mixed = np.outer(1 - SHARES, own) + np.outer(SHARES, margin)
    return float(SHARES[np.log(np.maximum(mixed, 1e-30)).sum(1).argmax()])
