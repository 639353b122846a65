"""Rare events: kept, invented, lost or copied? Judged on the holdout, never on train."""

from understudy.evaluation.rare.card import RareCard, rare_events

__all__ = ["RareCard", "rare_events"]
