"""Telling identifiers from measurements: patterns with checksums, and names as hints.

Strong forms (e-mail, IBAN, card, UUID, IP) are believed on their checksum or shape; weak forms
(phone, account, national number, personal name) only with a column name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from understudy.schema.columns import IdentifierForm

SHARE = 0.9
"""Share of distinct values that must match."""

EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
IPV4 = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
IPV6 = re.compile(r"(?=.*:.*:)[0-9a-fA-F:]{3,39}(%\w+)?")
URL = re.compile(r"https?://\S+|www\.\S+\.\S+")
PHONE = re.compile(r"\+?[\d ()./-]{7,20}")
IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
NATIONAL = (
    re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}"),  # United States SSN
    re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),  # UK NINO
)
NAME = re.compile(r"[^\W\d_]+([ .'-]+[^\W\d_]+){0,4}\.?")

HINTS: dict[IdentifierForm, re.Pattern[str]] = {
    "phone": re.compile(r"phone|mobile|(^|[\W_])(tel|cell|fax)([\W_]|$)", re.I),
    "account": re.compile(r"acc(oun)?t[\W_]*(no|num|nr|number|id)|account$|iban|konto", re.I),
    "national": re.compile(r"ssn|social[\W_]*sec|nino|aadhaa?r|national[\W_]*(id|no|num)|passport|tax[\W_]*id", re.I),
    "name": re.compile(r"(^|[\W_])(first|last|sur|full|given|family|patient|customer|person|client)[\W_]*name|^name$|surname", re.I),
    "key": re.compile(r"(^|[\W_])(id|ids|uid|key|pk|guid|nr|no|number|num)$|[a-z]Id$|[a-z]ID$|^(ID|Id)|_id_|record[\W_]*(no|num)", 0),
}  # fmt: skip


def luhn(digits: str) -> bool:
    """The checksum of payment cards (ISO/IEC 7812-1, annex B)."""
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if i % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban_valid(text: str) -> bool:
    """ISO 13616: the rearranged number is 1 modulo 97."""
    text = re.sub(r"\s", "", text).upper()
    if not IBAN.fullmatch(text):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def card_valid(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if not digits.isdigit() or not 13 <= len(digits) <= 19:
        return False
    return digits[0] in "3456" and luhn(digits)


def verhoeff(digits: str) -> bool:
    """The checksum of Aadhaar numbers (Verhoeff 1969)."""
    d = [[(i + j) % 5 if i < 5 and j < 5 else 0 for j in range(10)] for i in range(10)]
    for i in range(10):
        for j in range(10):
            flip, shift = i >= 5, j >= 5
            base = (i % 5 - j % 5) % 5 if flip else (i % 5 + j % 5) % 5
            d[i][j] = base + 5 * (flip != shift)
    p = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for _ in range(6):
        p.append([p[-1][p[1][k]] for k in range(10)])
    check = 0
    for i, digit in enumerate(reversed(digits)):
        check = d[check][p[i % 8][int(digit)]]
    return check == 0


def ip_valid(text: str) -> bool:
    found = IPV4.fullmatch(text)
    if found:
        return all(int(part) <= 255 for part in found.groups())
    return bool(IPV6.fullmatch(text)) and text.count("::") <= 1


def national_valid(text: str) -> bool:
    if any(pattern.fullmatch(text) for pattern in NATIONAL):
        return True
    digits = re.sub(r"[ -]", "", text)
    return len(digits) == 12 and digits.isdigit() and digits[0] not in "01" and verhoeff(digits)


def phone_valid(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return bool(PHONE.fullmatch(text)) and 7 <= len(digits) <= 15


STRONG: tuple[tuple[IdentifierForm, Callable[[str], object], str], ...] = (
    ("email", EMAIL.fullmatch, "e-mail addresses"),
    ("uuid", UUID.fullmatch, "UUIDs"),
    ("url", URL.fullmatch, "web addresses"),
    ("iban", iban_valid, "IBANs with a right checksum"),
    ("card", card_valid, "card numbers with a right checksum"),
    ("ip", ip_valid, "IP addresses"),
)
WEAK: tuple[tuple[IdentifierForm, Callable[[str], object], str], ...] = (
    ("national", national_valid, "national numbers"),
    ("phone", phone_valid, "phone numbers"),
    ("account", lambda t: sum(c.isdigit() for c in t) >= 5, "account numbers"),
    ("name", NAME.fullmatch, "names of people"),
)


def recognise(name: str, distinct: Sequence[str]) -> tuple[IdentifierForm, str] | None:
    """The form of a text column's identifiers and why, or None; `distinct` is a sample."""
    if not distinct:
        return None
    for form, matches, what in STRONG:
        if _share(distinct, matches) >= SHARE:
            return form, f"values are {what}"
    for form, matches, what in WEAK:
        hint = HINTS[form].search(name)
        if form == "national" and not hint and _share(distinct, NATIONAL[0].fullmatch) >= SHARE:
            return form, "values have the shape of national numbers"
        if hint and _share(distinct, matches) >= SHARE:
            return form, f"named {name!r}, and values look like {what}"
    return None


def named_as_key(name: str) -> bool:
    return bool(HINTS["key"].search(name))


def _share(values: Sequence[str], matches: Callable[[str], object]) -> float:
    return sum(bool(matches(value.strip())) for value in values) / len(values)
