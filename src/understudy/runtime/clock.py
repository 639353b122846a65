"""The moment that papers carry as their date."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def now() -> str:
    """ISO 8601 in UTC, to the second.

    `SOURCE_DATE_EPOCH`, the standard of reproducible builds, gives a date from outside for equal
    bytes.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(given), UTC) if given else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")
