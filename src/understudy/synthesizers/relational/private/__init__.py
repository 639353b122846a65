"""Whole databases under one budget: every look at a unit's rows, in all tables, is paid for."""
