"""What a run was computed with."""

from __future__ import annotations

import platform
from importlib import metadata

LIBRARIES = ("numpy", "pyarrow", "scipy", "scikit-learn")


def versions(understudy: str | None) -> dict[str, str | None]:
    """Versions of `understudy` (as the run says), Python and the libraries that compute."""
    found = {"understudy": understudy, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in LIBRARIES}
