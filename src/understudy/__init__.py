"""Synthetic training data that preserves privacy, handed over only with proof."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from understudy.data import Dataset, read
    from understudy.errors import UnderstudyError, UserError
    from understudy.pipeline import audit, synthesize
    from understudy.pipeline.models import load
    from understudy.schema import Schema
    from understudy.synthesizers.tabular.tree import TreeSynthesizer

_HOMES = {
    "Dataset": "understudy.data",
    "Schema": "understudy.schema",
    "TreeSynthesizer": "understudy.synthesizers.tabular.tree",
    "UnderstudyError": "understudy.errors",
    "UserError": "understudy.errors",
    "audit": "understudy.pipeline",
    "load": "understudy.pipeline.models",
    "read": "understudy.data",
    "synthesize": "understudy.pipeline",
}

__all__ = [
    "Dataset",
    "Schema",
    "TreeSynthesizer",
    "UnderstudyError",
    "UserError",
    "__version__",
    "audit",
    "load",
    "read",
    "synthesize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'understudy' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
