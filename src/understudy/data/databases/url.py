"""Addresses of databases: what a user types, what a driver needs, and what may be shown.

A password is kept apart from the address from the first moment, so no message, plan or log that
prints an address can print it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from understudy.errors import SourceError
from understudy.schema import Dialect

PASSWORD = "UNDERSTUDY_DATABASE_PASSWORD"
SCHEMES: dict[str, Dialect] = {
    "postgresql": "postgres",
    "postgres": "postgres",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
}
ENDINGS: dict[str, Dialect] = {
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".duckdb": "duckdb",
}
SECRETS = ("password", "sslpassword")
URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(\?(?P<query>.*))?"
)


@dataclass(frozen=True)
class DatabaseUrl:
    """One database. `address` is a file's path, or a PostgreSQL URL without its secrets.

    `secrets` hold what was taken out; `schema` is the one asked for, None for the usual.
    """

    dialect: Dialect
    address: str
    schema: str | None = None
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        """The address as it may be shown and kept in a plan: it says all but the password."""
        if self.dialect != "postgres":
            return self.address
        if self.schema is None:
            return self.address
        joint = "&" if "?" in self.address else "?"
        return f"{self.address}{joint}{urlencode({'schema': self.schema})}"

    @property
    def path(self) -> Path:
        """The file of an SQLite or DuckDB database."""
        return Path(self.address)

    def for_driver(self) -> str:
        """The URL with its secrets, which libpq takes. Never to be shown."""
        secrets = dict(self.secrets)
        if "password" not in secrets and os.environ.get(PASSWORD):
            secrets["password"] = os.environ[PASSWORD]
        given = self.address.partition("?")[2]
        usual = {"application_name": "understudy", "connect_timeout": "10"}
        added = {k: v for k, v in usual.items() if k not in dict(parse_qsl(given))} | secrets
        joint = "&" if given else "?"
        return f"{self.address}{joint}{urlencode(added, quote_via=quote)}"

    def scrub(self, text: str) -> str:
        """A driver's message in one line, without secrets, the statement, or values of cells."""
        text = re.split(r"\s*(?:DETAIL:|CONTEXT:|Query was:|LINE \d+:)", text)[0]
        known = [value for _, value in self.secrets] + [os.environ.get(PASSWORD, "")]
        spellings = {s for v in known if v for s in (v, quote(v), quote(v, safe=""), unquote(v))}
        for secret in sorted(spellings, key=len, reverse=True):
            text = text.replace(secret, "…")
        text = re.sub(r"^[A-Z_]+: (\[libpq\] )?", "", text.strip())
        return " ".join(text.split()).rstrip(".")


def is_database(source: object) -> bool:
    """Whether `read` and `write` take this path or text for a database."""
    text = str(source)
    scheme, joint, _ = text.partition("://")
    if joint:
        return scheme.casefold() in SCHEMES
    return Path(text).suffix.casefold() in ENDINGS


def parse_url(source: str | Path) -> DatabaseUrl:
    """The database that `source` names: a URL, or a file by its ending.

    Raises `SourceError` for another scheme, naming no more of the text than the scheme.
    """
    text = str(source)
    found = URL.fullmatch(text)
    if "://" in text and (found is None or _misplaced(found)):
        raise SourceError(
            "the database URL is not one: a name or password with signs like @ : / ? # has to "
            "spell them as %40 %3A %2F %3F %23. (It is not repeated here, as it may hold one.)"
        )
    if found is None:
        ending = Path(text).suffix.casefold()
        if ending not in ENDINGS:
            raise SourceError(
                f"{Path(text).name!r} is no database by its name. Known endings: "
                f"{', '.join(ENDINGS)}; known URLs: {', '.join(f'{s}://' for s in SCHEMES)}."
            )
        return DatabaseUrl(ENDINGS[ending], text)
    dialect = SCHEMES.get(found["scheme"].casefold())
    if dialect is None:
        raise SourceError(
            f"there is no reader for {found['scheme']}:// databases. Known: "
            f"{', '.join(f'{s}://' for s in SCHEMES)}. Write the tables to CSV or Parquet and give "
            "their folder."
        )
    if dialect != "postgres":
        return DatabaseUrl(dialect, _file_of(found["place"], found["path"]))
    return _server(found)


def _misplaced(found: re.Match[str]) -> bool:
    """Whether what stands before the first slash is only the beginning of a name and password."""
    place, rest = found["place"], found["path"] + (found["query"] or "")
    return place.count("@") > 1 or (":" in place and "@" not in place and "@" in rest)


def _file_of(place: str, path: str) -> str:
    """Three slashes are a path from here, four one from the root; a root path that is there too."""
    relative = unquote(path.removeprefix("/"))
    if place or not relative:
        raise SourceError(
            "a database file is named as in sqlite:///folder/bank.sqlite (from here) or "
            "sqlite:////folder/bank.sqlite (from the root)."
        )
    absolute = f"/{relative}"
    if not Path(relative).exists() and Path(absolute).exists():
        return absolute
    return relative


def _server(found: re.Match[str]) -> DatabaseUrl:
    user, _, host = found["place"].rpartition("@")
    name, colon, password = user.partition(":")
    secrets = {"password": unquote(password)} if colon and password else {}
    asked = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    secrets |= {key: asked.pop(key) for key in SECRETS if asked.get(key)}
    schema = asked.pop("schema", None) or None
    place = f"{name}@{host}" if name else host
    query = f"?{urlencode(asked, quote_via=quote, safe='/')}" if asked else ""
    address = f"postgresql://{place}{found['path']}{query}"
    return DatabaseUrl("postgres", address, schema, tuple(secrets.items()))
