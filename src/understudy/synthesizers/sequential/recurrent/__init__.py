"""Histories by a recurrent network: one pass over an entity's events, one distribution a column."""

from understudy.synthesizers.sequential.recurrent.model import RecurrentHistories, fit_recurrent

__all__ = ["RecurrentHistories", "fit_recurrent"]
