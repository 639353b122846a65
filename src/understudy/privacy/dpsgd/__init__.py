"""DP-SGD in plain torch: exact per-unit clipping for about the price of a plain step.

The one place under `understudy.privacy` that needs torch, which is loaded when a name is first
used. A training is asked of a session like any other query: one frozen plan feeds the sampler, the
clipper, the noise and the ledger.

    plan = PrivacyPlan.solve(budget, units=50_000, expected_batch=512, steps=2_000)
    with DPSGD(network, optimizer, plan, session) as training:
        for batch in training.batches(records):
            training.step(batch, lambda part: losses(network, part))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from understudy.errors import MissingExtraError

if TYPE_CHECKING:
    from understudy.privacy.dpsgd.engine import DPSGD
    from understudy.privacy.dpsgd.mechanism import GaussianSum
    from understudy.privacy.dpsgd.plan import PrivacyPlan
    from understudy.privacy.dpsgd.records import Batch, Records

_HOMES = {
    "Batch": "records",
    "DPSGD": "engine",
    "GaussianSum": "mechanism",
    "PrivacyPlan": "plan",
    "Records": "records",
}

__all__ = ["DPSGD", "Batch", "GaussianSum", "PrivacyPlan", "Records"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError.of("DP-SGD", "deep") from None
