"""Telling identifiers from measurements: patterns with checksums, and names as hints.

Strong forms (e-mail, IBAN, card, UUID, IP, a phone number with its country) are believed on their
checksum or shape; weak forms (local phone, account, national number, personal name) only with a
column name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from understudy.schema.columns import IdentifierForm

SHARE = 0.9
"""Share of distinct values that must match."""
MANY = 100
"""Values beyond which a repeating column called an id is taken to say whose a row is."""

EMAIL = re.compile(r"[^\s@,;<>]+@[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)*\.[^\W\d_]{2,}")
UUID = re.compile(r"\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", re.I)
URL = re.compile(r"(https?|ftp)://\S+|www\.\S+\.\S+", re.I)
PHONE = re.compile(r"\+?[\d ()./-]{7,22}( ?(x|ext\.?) ?\d{1,5})?", re.I)
CALLABLE = re.compile(
    r"(\+|00)[1-9]\d{0,2}[ ().-]+\d[\d ().-]{5,16}\d|\+[1-9]\d{9,14}"  # with the country
    r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"  # North America
)
IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")  # United States
SSN_BARE = re.compile(r"(?!000|666|9\d\d)\d{3}(?!00)\d{2}(?!0000)\d{4}")
NINO = re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]")  # Britain
NAME = re.compile(r"[^\W\d_]+([ .,'’-]+[^\W\d_]+){0,5}\.?")
FULL_NAME = re.compile(r"[^\W\d_][\w.'’-]*(,? +[^\W\d_][\w.'’-]*){1,4}")

PERSON = (
    r"patient|customer|client|person|people|member|user|employee|staff|student|teacher|doctor|"
    r"physician|nurse|owner|holder|author|contact|applicant|resident|borrower|payer|payee|sender|"
    r"recipient|beneficiary|subject|participant|passenger|guest|tenant"
)
HINTS: dict[IdentifierForm, re.Pattern[str]] = {
    "phone": re.compile(
        r"phone|mobile|telefon|handy|(^|[\W_])(tel|cell|fax|msisdn)([\W_]|$)", re.I
    ),
    "account": re.compile(
        r"(^|[\W_])(acc|acct|account|konto|compte|cuenta|conto)"
        r"([\W_]*(no|nr|num|number|nummer|id|to|from|code))?([\W_]|$)(?!.*(type|balance|age|name|status))"
        r"|acc(oun)?tn(o|um(ber)?)$|kontonummer|iban|(^|[\W_])(policy|routing|sort)[\W_]*(no|number|code)",
        re.I,
    ),
    "national": re.compile(
        r"ssn|social[\W_]*sec|nino|aadhaa?r|(national|tax|citizen)[\W_]*(insurance[\W_]*)?(id|no|num)"
        r"|passport|birth[\W_]*n(o|um)",
        re.I,
    ),
    "name": re.compile(
        rf"(^|[\W_])(first|last|middle|sur|full|given|family|maiden|nick|fore|legal|{PERSON})[\W_]*"
        r"name|^names?$|(^|[\W_])(surname|forename|vorname|nachname|cardholder)($|[\W_])",
        re.I,
    ),
    "key": re.compile(
        r"(^|[\W_])(id|ids|uid|key|pk|guid|nr|no|number|num)$|[a-z](Id|ID)$|^(ID|Id|Key|No|Nr)$|_id_"
        r"|(^|[\W_])(ID|UID|GUID|KEY|NR|NO)$|record[\W_]*(no|num)"
    ),
}
ENTITY = re.compile(r"(^|[\W_])(id|uid|guid|uuid)$|[a-z](Id|ID)$|(^|[\W_])(ID|UID|GUID)$")
SOMEBODY = re.compile(rf"(^|[\W_])({PERSON}|account|card|household|family)s?($|[\W_\d]|id)", re.I)
VERSION = re.compile(r"version|release|build|firmware|revision", re.I)


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
    if not digits.isascii() or not digits.isdigit() or not 13 <= len(digits) <= 19:
        return False
    return digits[0] in "23456" and luhn(digits)


def _dihedral() -> tuple[list[list[int]], list[list[int]]]:
    """Verhoeff's tables: products in the dihedral group of order ten, powers of a permutation."""
    product = [[0] * 10 for _ in range(10)]
    for i in range(10):
        for j in range(10):
            turn = (i % 5 - j % 5) % 5 if i >= 5 else (i % 5 + j % 5) % 5
            product[i][j] = turn + 5 * ((i >= 5) != (j >= 5))
    power = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for _ in range(6):
        power.append([power[-1][power[1][k]] for k in range(10)])
    return product, power


PRODUCT, POWER = _dihedral()


def verhoeff(digits: str) -> bool:
    """The checksum of Aadhaar numbers (Verhoeff 1969)."""
    check = 0
    for i, digit in enumerate(reversed(digits)):
        check = PRODUCT[check][POWER[i % 8][int(digit)]]
    return check == 0


def ip_valid(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return not text.isdigit()


def national_valid(text: str) -> bool:
    """United States, Britain, India."""
    if SSN.fullmatch(text) or SSN_BARE.fullmatch(text) or NINO.fullmatch(text):
        return True
    digits = re.sub(r"[ -]", "", text)
    return len(digits) == 12 and digits.isdigit() and digits[0] not in "01" and verhoeff(digits)


def phone_valid(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return bool(PHONE.fullmatch(text)) and 7 <= len(digits) <= 20


def account_valid(text: str) -> bool:
    """Five digits or more, no decimals: short ones are codes of a ledger."""
    return sum(c.isdigit() for c in text) >= 5 and "." not in text


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
    ("account", account_valid, "account numbers"),
    ("name", NAME.fullmatch, "names of people"),
)
UNHINTED: tuple[tuple[IdentifierForm, Callable[[str], object], str], ...] = (
    ("national", SSN.fullmatch, "national numbers"),
    ("national", NINO.fullmatch, "national numbers"),
    ("phone", CALLABLE.fullmatch, "phone numbers"),
)


def recognise(name: str, distinct: Sequence[str]) -> tuple[IdentifierForm, str] | None:
    """The form of a text column's identifiers and why, or None; `distinct` is a sample."""
    if not distinct:
        return None
    for form, matches, what in STRONG:
        if form == "ip" and VERSION.search(name):
            continue
        if _share(distinct, matches) >= SHARE:
            return form, f"values are {what}"
    for form, matches, what in WEAK:
        if HINTS[form].search(name) and _share(distinct, matches) >= SHARE:
            return form, f"named {name!r}, and values look like {what}"
    for form, matches, what in UNHINTED:
        if len(distinct) > 5 and _share(distinct, matches) >= SHARE:
            return form, f"values have the shape of {what}"
    if SOMEBODY.search(name) and len(distinct) > 20 and _share(distinct, _full_name) >= SHARE:
        return "name", f"named {name!r}, and values look like names of people"
    return None


def recognise_whole(name: str, distinct: Sequence[str]) -> tuple[IdentifierForm, str] | None:
    """The form of whole numbers that are identifiers without marks: cards, and what a name says."""
    if _share(distinct, card_valid) >= SHARE:
        return "card", "values are card numbers with a right checksum"
    for form, matches, what in WEAK[:3]:
        if HINTS[form].search(name) and _share(distinct, matches) >= SHARE:
            return form, f"named {name!r}, and values look like {what}"
    return None


def named_as_key(name: str) -> bool:
    return bool(HINTS["key"].search(name))


def names_an_entity(name: str, levels: int) -> bool:
    """Whether a column of so many repeating values says whose a row is: `customer_id`, `userId`."""
    if not ENTITY.search(name):
        return False
    return levels > MANY or bool(SOMEBODY.search(name))


def _full_name(text: str) -> bool:
    return bool(FULL_NAME.fullmatch(text)) and text == text.title()


def _share(values: Sequence[str], matches: Callable[[str], object]) -> float:
    return sum(bool(matches(value.strip())) for value in values) / len(values)
