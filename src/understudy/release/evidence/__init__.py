"""The evidence of a run under the headings that guidelines use."""

from understudy.release.evidence.sections import evidence

__all__ = ["evidence"]
