"""Where data comes from and goes to: files, frames, inference, splits."""
