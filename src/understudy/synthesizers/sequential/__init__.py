"""Event histories of entities: bank logs, visits, sensor readings."""

from understudy.synthesizers.sequential.events import Events
from understudy.synthesizers.sequential.histories import Histories, fit_histories

__all__ = ["Events", "Histories", "fit_histories"]
