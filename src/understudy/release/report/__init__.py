"""The report: one offline HTML file that a person reads from the verdict down."""

from understudy.release.report.render import render

__all__ = ["render"]
