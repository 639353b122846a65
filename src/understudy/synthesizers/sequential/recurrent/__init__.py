"""Histories by a recurrent network: one pass over an entity's events, one distribution a column."""

from understudy.synthesizers.sequential.recurrent.fitting import Training, fit_recurrent
from understudy.synthesizers.sequential.recurrent.model import RecurrentHistories

__all__ = ["RecurrentHistories", "Training", "fit_recurrent"]
