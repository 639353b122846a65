"""What a column IS: nine kinds as one discriminated union, keyed by `kind`.

A plan file is these models written out, so every field here is something a person may edit.
Missingness belongs to every kind: `nullable` says whether cells may be empty, and empty cells are
modelled, never filled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from understudy.schema.storage import arrow_type


class Strict(BaseModel):
    """Frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnBase(Strict):
    name: str = Field(min_length=1)
    nullable: bool = True
    stored: str | None = Field(
        default=None, description="Arrow type of the cells; under a budget each is read as that."
    )
    why: str = Field(default="", description="Why inference chose this kind; for people.")
    sql: str | None = Field(
        default=None,
        description="Type in the source database, `enum NAME` for an enumeration of the levels.",
    )
    default: str | None = Field(
        default=None, description="SQL that fills a new row, or `identity` for a running number."
    )
    comment: str | None = Field(default=None, description="What the source database says of it.")

    @field_validator("stored")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            arrow_type(name)
        return name


class Number(ColumnBase):
    """Integers or decimals. `decimals` is the number of digits kept after the point."""

    kind: Literal["number"] = "number"
    integer: bool = False
    decimals: int | None = Field(default=None, ge=0, le=17)
    minimum: float | None = Field(default=None, description="Public lower bound.")
    maximum: float | None = Field(default=None, description="Public upper bound.")

    @model_validator(mode="after")
    def _in_order(self) -> Number:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(
                f"column {self.name!r} has minimum {self.minimum:g} above maximum {self.maximum:g}"
            )
        return self


class Category(ColumnBase):
    """A finite set of labels; `levels` when the list is public knowledge."""

    kind: Literal["category"] = "category"
    levels: tuple[Any, ...] | None = None
    ordered: bool = False


class Boolean(ColumnBase):
    kind: Literal["boolean"] = "boolean"


class Datetime(ColumnBase):
    """A date or an instant. `format` is the strptime pattern of a text source."""

    kind: Literal["datetime"] = "datetime"
    format: str | None = None


class Duration(ColumnBase):
    """A length of time."""

    kind: Literal["duration"] = "duration"


class Text(ColumnBase):
    """Free text: learnt by text engines only, left empty by all others."""

    kind: Literal["text"] = "text"


IdentifierForm = Literal[
    "key",
    "email",
    "phone",
    "iban",
    "account",
    "card",
    "national",
    "ip",
    "name",
    "uuid",
    "url",
    "code",
]


class Identifier(ColumnBase):
    """Names one unit or points at one: never learnt, made anew in the same form.

    `key` is a running number or code used as a database key; `code` any other pattern such as
    `AB-12345`, remade character class by character class.
    """

    kind: Literal["identifier"] = "identifier"
    form: IdentifierForm = "key"


class Geo(ColumnBase):
    """A coordinate in degrees: one axis, or a `latitude,longitude` point as text."""

    kind: Literal["geo"] = "geo"
    axis: Literal["latitude", "longitude", "point"]


Column = Annotated[
    Number | Category | Boolean | Datetime | Duration | Text | Identifier | Geo,
    Field(discriminator="kind"),
]

LEARNT_KINDS = ("number", "category", "boolean", "datetime", "duration", "geo")
"""Kinds an engine for tables models; the others are made anew or left to a text engine."""
