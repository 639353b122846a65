"""What a fit of a network found, before it is a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from understudy.privacy.audit import Audit
from understudy.synthesizers.tabular.neural.head import Arrays
from understudy.synthesizers.tabular.shape import Shape


@dataclass(frozen=True)
class Learnt:
    """`drawing` draws rows; `rows` is how many were learnt from, counted or bought; `arrays` is
    what a drawing of NumPy is made of; `audit` what canaries in a private training proved."""

    shape: Shape
    drawing: Any
    rows: int
    arrays: Arrays = field(default_factory=dict)
    audit: Audit | None = None
