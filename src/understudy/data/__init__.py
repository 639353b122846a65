"""Where data comes from and goes to: files, frames, inference, splits."""

from understudy.data.dataset import Dataset

__all__ = ["Dataset"]
