"""Event histories: lengths, gaps, calendar, memory, motifs, recurrences, tails, balances."""

from understudy.evaluation.sequential.card import Sequences, sequences

__all__ = ["Sequences", "sequences"]
