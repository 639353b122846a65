"""Columns of identifiers of every form, and columns that only look like some."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pyarrow as pa

ROWS = 200
Draw = Callable[[np.random.Generator], list[str]]


def _each(one: Callable[[np.random.Generator], str]) -> Draw:
    return lambda rng: [one(rng) for _ in range(ROWS)]


def _digits(rng: np.random.Generator, n: int) -> str:
    return "".join(map(str, rng.integers(0, 10, n)))


def _pick(rng: np.random.Generator, *words: str) -> str:
    return str(rng.choice(words))


def _name(rng: np.random.Generator) -> str:
    first = _pick(rng, "Anna", "José", "Li", "Mary Jane", "Åsa", "Jean-Luc", "Zoë", "Omar")
    last = _pick(rng, "Smith", "O'Neil", "Müller", "García Lorca", "van Dyk", "Ng")
    return f"{first} {last}{_pick(rng, 'son', 'berg', 'ton', '', 'er')}"


def _iban(rng: np.random.Generator, country: str, digits: int, bank: str = "") -> str:
    body = bank + _digits(rng, digits)
    number = "".join(str(int(c, 36)) for c in body + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


def _card(rng: np.random.Generator, start: str, width: int) -> str:
    body = start + _digits(rng, width - 1 - len(start))
    total = 0
    for i, c in enumerate(reversed(body)):
        total += int(c) if i % 2 else sum(divmod(2 * int(c), 10))
    return body + str(-total % 10)


def _grouped(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _aadhaar(rng: np.random.Generator) -> str:
    """Verhoeff's check digit by its published multiplication table."""
    table = "0123456789 1234067895 2340178956 3401289567 4012395678 5987604321 6598710432 7659821043 8765932104 9876543210"  # noqa: E501
    d = [[int(c) for c in row] for row in table.split()]
    p = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(p) < 8:
        p.append([p[-1][k] for k in p[1]])
    body = str(rng.integers(2, 10)) + _digits(rng, 10)
    for check in range(10):
        c = 0
        for i, digit in enumerate(reversed(f"{body}{check}")):
            c = d[c][p[i % 8][int(digit)]]
        if c == 0:
            return f"{body}{check}"
    raise AssertionError("one of ten digits fits")


def _ssn(rng: np.random.Generator) -> str:
    area = int(rng.integers(1, 899))
    area += area >= 666
    return f"{area:03d}-{rng.integers(1, 100):02d}-{rng.integers(1, 10000):04d}"


IDENTIFIERS: list[tuple[str, str, Draw]] = [
    (
        "email",
        "mail",
        _each(lambda r: f"{_digits(r, 5)}.{_pick(r, 'ann', 'bo')}@web.example.co.uk"),
    ),
    ("email", "contact", _each(lambda r: f"{_pick(r, 'Jörg', 'x')}+{_digits(r, 4)}@firma.de")),
    ("phone", "phone", _each(lambda r: f"0{_digits(r, 3)} {_digits(r, 6)}")),
    ("phone", "Mobile No", _each(lambda r: f"({_digits(r, 3)}) {_digits(r, 3)}-{_digits(r, 4)}")),
    ("phone", "c7", _each(lambda r: f"+49 {r.integers(100, 999)} {_digits(r, 7)}")),
    ("phone", "reach", _each(lambda r: f"+1{r.integers(2, 9)}{_digits(r, 9)}")),
    ("phone", "tel", _each(lambda r: f"{r.integers(200, 999)}-{_digits(r, 3)}-{_digits(r, 4)}")),
    ("iban", "iban", _each(lambda r: _iban(r, "DE", 18))),
    ("iban", "ref", _each(lambda r: _grouped(_iban(r, "GB", 14, "WEST")))),
    ("iban", "to", _each(lambda r: _iban(r, *[("NL", 10, "INGB"), ("AT", 16)][r.integers(2)]))),
    ("card", "card", _each(lambda r: _card(r, "4", 16))),
    ("card", "payment", _each(lambda r: _grouped(_card(r, "22", 16)))),
    ("card", "amex", _each(lambda r: _card(r, "37", 15))),
    ("account", "account_no", _each(lambda r: f"{_digits(r, 3)}-{_digits(r, 6)}/{_digits(r, 4)}")),
    ("account", "konto", _each(lambda r: "0" + _digits(r, 9))),
    ("account", "account_to", _each(lambda r: f"ACC{_digits(r, 8)}")),
    ("national", "ssn", _each(_ssn)),
    ("national", "person", _each(_ssn)),
    ("national", "nino", _each(lambda r: f"AB {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)} C")),
    ("national", "aadhaar", _each(_aadhaar)),
    ("ip", "client", _each(lambda r: str(IPv4Address(int(r.integers(2**24, 2**32)))))),
    ("ip", "host", _each(lambda r: str(IPv6Address(r.bytes(16))))),
    ("name", "last_name", _each(lambda r: _name(r).split()[-1])),
    ("name", "name", _each(_name)),
    ("name", "Patient Name", _each(_name)),
    ("name", "customerName", _each(_name)),
    ("name", "surname", _each(lambda r: _name(r).split()[-1].upper())),
    ("uuid", "session", _each(lambda r: str(uuid.UUID(bytes=r.bytes(16))))),
    ("uuid", "token", _each(lambda r: uuid.UUID(bytes=r.bytes(16)).hex.upper())),
    ("url", "page", _each(lambda r: f"https://shop.example/{_digits(r, 6)}?u={_digits(r, 3)}")),
    ("url", "site", _each(lambda r: f"www.site{_digits(r, 5)}.org/a")),
    ("code", "booking_id", _each(lambda r: f"BK-{_digits(r, 6)}")),
    ("code", "v3", _each(lambda r: f"{_pick(r, 'X', 'Y', 'Z')}{_digits(r, 9)}")),
]

WHOLE_IDENTIFIERS: list[tuple[str, str, Callable[[np.random.Generator], np.ndarray]]] = [
    ("key", "customer_id", lambda r: r.permutation(ROWS) * 7 + 11),
    ("key", "customer_id", lambda r: r.integers(1000, 1030, ROWS)),
    ("key", "n", lambda r: r.permutation(ROWS) + 1),
    ("key", "orderId", lambda r: r.integers(10**17, 10**18, ROWS)),
    ("phone", "phone", lambda r: r.integers(2 * 10**9, 10**10, ROWS)),
    ("account", "account_to", lambda r: r.integers(10**7, 10**8, ROWS)),
    ("account", "account", lambda r: r.choice(r.integers(10**7, 10**8, 60), ROWS)),
    ("national", "ssn", lambda r: r.integers(101, 600, ROWS) * 10**6 + r.integers(10101, 10**6)),
    ("card", "pan", lambda r: np.array([int(_card(r, "5", 16)) for _ in range(ROWS)])),
]

TEXT_LOOK_ALIKES: list[tuple[str, Draw]] = [
    ("zip", _each(lambda r: f"{r.integers(0, 900) * 7:05d}")),
    ("postcode", _each(lambda r: f"SW{r.integers(1, 9)} {r.integers(1, 9)}AA")),
    ("price", _each(lambda r: f"${r.integers(1, 99)}.{r.integers(0, 99):02d}")),
    ("change", _each(lambda r: f"+{r.integers(1, 9)}.{r.integers(10, 30)} %")),
    (
        "comment",
        _each(lambda r: " ".join(_pick(r, "was", "late", "and", "cold") for _ in range(9))),
    ),
    ("icd10", _each(lambda r: f"{_pick(r, 'A', 'B', 'J')}{r.integers(10, 40)}.{r.integers(0, 9)}")),
    ("occupation", _each(lambda r: _pick(r, "Sales", "Tech-support", "Craft repair", "Farming"))),
    ("city", _each(lambda r: _pick(r, "New York", "San José", "Köln", "Oslo"))),
    ("country", _each(lambda r: _pick(r, "DE", "FR", "United States"))),
    ("account_type", _each(lambda r: _pick(r, "current", "savings", "joint owner"))),
    ("product_name", _each(lambda r: f"{_pick(r, 'Red', 'Blue')} {_pick(r, 'Chair', 'Table')}")),
    ("phone_brand", _each(lambda r: _pick(r, "Nokia 3310", "iPhone 12", "Fairphone"))),
    ("version", _each(lambda r: f"{r.integers(1, 4)}.{r.integers(0, 9)}.0.{r.integers(0, 9)}")),
    ("duration", _each(lambda r: f"{r.integers(1, 9)}:{r.integers(10, 59)}:{r.integers(10, 59)}")),
    ("date", _each(lambda r: f"{r.integers(1, 28)}/{r.integers(1, 13)}/{r.integers(1990, 2020)}")),
    ("grade", _each(lambda r: _pick(r, "A+", "A-", "B", "C"))),
    ("month", _each(lambda r: f"{r.integers(2000, 2020)}-{r.integers(1, 13):02d}")),
    ("sic_code", _each(lambda r: f"0{r.integers(100, 150)}")),
    ("card_type", _each(lambda r: _pick(r, "visa", "gold", "classic"))),
    ("income", _each(lambda r: _pick(r, "<=50K", ">50K"))),
    ("point", _each(lambda r: f"{r.uniform(40, 50):.4f}, {r.uniform(-9, 9):.4f}")),
    ("status", _each(lambda r: _pick(r, "Open", "Closed", "On hold"))),
    ("education.num", _each(lambda r: _pick(r, "9th", "10th", "HS-grad"))),
]

WHOLE_LOOK_ALIKES: list[tuple[str, Callable[[np.random.Generator], np.ndarray]]] = [
    ("year", lambda r: r.integers(1900, 2025, ROWS)),
    ("zip", lambda r: r.integers(10_000, 12_000, ROWS)),
    ("price", lambda r: r.integers(1, 100, ROWS) * 990),
    ("quantity", lambda r: r.integers(0, 12, ROWS)),
    ("salary", lambda r: r.integers(20_000, 200_000, ROWS)),
    ("population", lambda r: r.integers(10**6, 10**9, ROWS)),
    ("microseconds", lambda r: r.integers(10**15, 4 * 10**15, ROWS)),
    ("account_balance", lambda r: r.integers(-(10**6), 10**6, ROWS)),
    ("education.num", lambda r: r.integers(1, 17, ROWS)),
    ("num_accounts", lambda r: r.integers(0, 9, ROWS)),
    ("phone_calls", lambda r: r.integers(0, 300, ROWS)),
    ("store_id", lambda r: r.integers(1, 15, ROWS)),
    ("age", lambda r: r.integers(17, 90, ROWS)),
    ("date", lambda r: r.integers(2000, 2020, ROWS) * 10**4 + 101 + r.integers(0, 28, ROWS)),
    ("score", lambda r: r.integers(300, 850, ROWS)),
]


def columns(seed: int) -> list[tuple[str | None, str, pa.Table]]:
    """Every column as a table of one: the form it should be told as (None: no identifier)."""
    rng = np.random.default_rng(seed)
    found: list[tuple[str | None, str, pa.Table]] = []
    for form, name, draw in IDENTIFIERS:
        found.append((form, name, pa.table({name: draw(rng)})))
    for form, name, numbers in WHOLE_IDENTIFIERS:
        found.append((form, name, pa.table({name: numbers(rng)})))
    for name, draw in TEXT_LOOK_ALIKES:
        found.append((None, name, pa.table({name: draw(rng)})))
    for name, numbers in WHOLE_LOOK_ALIKES:
        found.append((None, name, pa.table({name: numbers(rng)})))
    return found
