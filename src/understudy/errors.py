"""Every error a user can meet, as one tree.

    UnderstudyError
    ├── UserError                 a mistake we can name and remedy; the command line exits with 2
    │   ├── SourceError           the data cannot be read as given
    │   ├── ColumnError           a table has no such column, or the column cannot play that part
    │   ├── PlanError             a plan file says something we do not understand
    │   ├── ConditionError        a `where` or `balance` that cannot be met
    │   ├── ConstraintError       a declared constraint that the data or the request violates
    │   ├── EngineError           an engine that does not exist or cannot take this data
    │   ├── RunFolderError        an output folder that is not ours to write
    │   ├── MissingExtraError     an optional dependency that is not installed
    │   ├── BudgetError           more privacy asked for than is left
    │   └── ReleaseError          a bundle asked of a run that may not be released
    └── FormatError               a file of ours that is newer than this version, or damaged

A message says what went wrong, where, what was found and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnderstudyError(Exception):
    """Root of the tree."""


class UserError(UnderstudyError):
    """A mistake of the user's: reported in one paragraph, exit code 2."""


class SourceError(UserError):
    """The data cannot be read as given."""


class ColumnError(UserError):
    """A table has no such column, or the column cannot play the part asked of it."""

    @classmethod
    def unknown(
        cls, column: str, known: Iterable[str], *, table: str | None = None, where: str = ""
    ) -> ColumnError:
        """`ColumnError: table 'accounts' has no column 'custmer_id'. Did you mean ...?`"""
        owner = f"table {table!r}" if table else "the table"
        place = f" ({where})" if where else ""
        return cls(f"{owner} has no column {column!r}. {suggest(column, known)}{place}")


class PlanError(UserError):
    """A plan file says something we do not understand."""


class ConditionError(UserError):
    """A `where` or `balance` that cannot be met."""


class ConstraintError(UserError):
    """A declared constraint that the data or the request violates."""


class EngineError(UserError):
    """An engine that does not exist or cannot take this data."""


class RunFolderError(UserError):
    """An output folder that is not ours to write."""


class MissingExtraError(UserError):
    """An optional dependency that is not installed."""

    @classmethod
    def of(cls, what: str, extra: str) -> MissingExtraError:
        return cls(
            f"{what} needs an optional part. Install it with: pip install 'understudy[{extra}]'"
        )


class BudgetError(UserError):
    """More privacy asked for than is left."""


class ReleaseError(UserError):
    """A bundle asked of a run that may not be released."""


class FormatError(UnderstudyError):
    """A file of ours that is newer than this version, or damaged."""


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known names, or the list of them when nothing is near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    if not near:
        folded = {name.casefold(): name for name in names}
        near = [
            folded[k] for k in difflib.get_close_matches(word.casefold(), folded, n=2, cutoff=0.6)
        ]
    if near:
        return "Did you mean " + " or ".join(repr(name) for name in near) + "?"
    shown = ", ".join(repr(name) for name in names[:12])
    return f"Known: {shown}{', ...' if len(names) > 12 else ''}."
