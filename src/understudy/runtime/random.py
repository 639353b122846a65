"""Named random streams: every draw in a run comes from (seed, name, shard), never from a global.

A stream's numbers depend only on its name, so adding a step, changing the number of workers or
resuming after a kill changes nothing else. Seeds drive sampling and post-processing only; noise
that protects privacy never comes from here (see `understudy.privacy`).
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator called `names` under `seed`; independent of every other name."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    words = np.frombuffer(digest[:16], dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()])))


def fresh_seed() -> int:
    """A seed for users who gave none; recorded, so that the run can be repeated."""
    return secrets.randbits(31)
