"""Plan files: everything that can be decided before a run, as one YAML file.

A plan is these models written out. Unknown keys are refused with the line they stand on and the
nearest known key; `json_schema` describes the file to editors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from understudy.contracts import Released
from understudy.errors import PlanError, suggest
from understudy.schema.columns import Strict
from understudy.schema.tables import Schema

SECRET = re.compile(r"^\w+://([^/?#]*:.+@|.*[?&](ssl)?password=)", re.I)
"""A database URL with a password in it."""


class Source(Strict):
    """Where the rows are and how they are spelled."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: str
    nulls: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None

    @field_validator("path")
    @classmethod
    def _without_password(cls, path: str) -> str:
        """Plans are copied into run folders and sent around."""
        if SECRET.search(path):
            raise ValueError(
                "the database URL holds a password. Leave it out and set "
                "$UNDERSTUDY_DATABASE_PASSWORD (or $PGPASSWORD, or ~/.pgpass)"
            )
        return path


class Engine(Strict):
    """An engine by name, with its options.

    `usual` is marginals under a budget and tree without one; `auto` without one lets engines race,
    with the options of a race: `seconds`, `engines`.
    """

    name: str = "usual"
    options: dict[str, Any] = Field(default_factory=dict)


class NoPrivacy(Strict):
    """No privacy budget; the audit decides on evidence."""

    mode: Literal["none"] = "none"


AtLeastOne = Annotated[int, Field(ge=1)]
RowsPerUnit = Annotated[
    Annotated[AtLeastOne, Tag("every")] | Annotated[dict[str, AtLeastOne], Tag("each")],
    Discriminator(lambda found: "each" if isinstance(found, dict) else "every"),
]


class DifferentialPrivacy(Strict):
    """A budget for everything the run learns from real rows.

    Whatever else this plan says about the data (levels, bounds, `nullable: false`) is public by
    being written here; what it leaves out is bought from the budget.
    """

    mode: Literal["dp"] = "dp"
    epsilon: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    delta: float | None = Field(
        default=None, gt=0, lt=1, description="1 over ten times the units, rounded, if not given."
    )
    rows_per_unit: RowsPerUnit = Field(
        default=1,
        description="At most so many rows of one unit are learnt from: of a single table, or in "
        "each table of a database that is named (in the others the bound is bought).",
    )
    public_units: int | None = Field(
        default=None, ge=1, description="How many units there are, where that is public."
    )


Privacy = Annotated[NoPrivacy | DifferentialPrivacy, Field(discriminator="mode")]


class Plan(Strict):
    """One run: source, schema, engine, request and bounds of the gate."""

    version: Literal[1] = 1
    source: Source
    data: Schema = Field(description="Tables, columns, keys, constraints and the unit.")
    engine: Engine = Engine()
    privacy: Privacy | None = None
    target: str | None = None
    rows: int | None = Field(default=None, ge=1)
    balance: dict[str, Any] | None = None
    releases: Released = Field(
        default="data", description="What will leave: data, model (with it), or query (answers)."
    )
    seed: int | None = Field(default=None, ge=0)
    bounds: dict[str, float] = Field(default_factory=dict, description="Bounds of the gate.")

    @model_validator(mode="after")
    def _bounds_name_tables(self) -> Plan:
        if isinstance(self.privacy, DifferentialPrivacy):
            bounds = self.privacy.rows_per_unit
            names = [table.name for table in self.data.tables]
            for name in () if isinstance(bounds, int) else bounds:
                if name not in names:
                    raise ValueError(
                        f"rows_per_unit names table {name!r}, which is not in the data. "
                        f"{suggest(name, names)}"
                    )
        return self


def load_plan(path: Path) -> Plan:
    """The plan in `path`; `PlanError` names the line of what is wrong."""
    text = path.read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise PlanError(f"{path.name}{place}: not readable as YAML: {error}") from None
    if not isinstance(found, dict):
        raise PlanError(
            f"{path.name}: a plan is a mapping of keys; this is {type(found).__name__}."
        )
    try:
        return Plan.model_validate(found)
    except ValidationError as error:
        raise PlanError(_explain(error, root, path.name)) from None


def dump_plan(plan: Plan) -> str:
    """YAML of `plan`, leaving out what is as by default."""
    plain = plan.model_dump(mode="json", exclude_defaults=True)
    plain = {"version": plan.version, **plain}
    if plan.privacy is not None:
        plain["privacy"] = {"mode": plan.privacy.mode, **plain.get("privacy", {})}
    for table, spec in zip(plain["data"]["tables"], plan.data.tables, strict=True):
        for column, model in zip(table["columns"], spec.columns, strict=True):
            column["kind"] = model.kind
        for rule, constraint in zip(table.get("constraints", ()), spec.constraints, strict=False):
            rule["rule"] = constraint.rule
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text


def json_schema() -> str:
    """JSON Schema of a plan file, for editors."""
    return json.dumps(Plan.model_json_schema(), indent=1)


def _explain(error: ValidationError, root: Any, name: str) -> str:
    found = error.errors()[0]
    loc = found["loc"]
    path = [part for place, part in enumerate(loc) if not _is_tag(place, loc)]
    node, line, known = root, 1, []
    for part in path:
        step = _step(node, part)
        if step is None:
            break
        node, line = step
    place = f"{name}:{line}"
    if found["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        return f"{place}: unknown key {path[-1]!r}. {suggest(str(path[-1]), known)}"
    where = ".".join(str(part) for part in path)
    message = found["msg"].removeprefix("Value error, ")
    return f"{place}: {where}: {message}" if where else f"{place}: {message}"


def _is_tag(place: int, loc: tuple[Any, ...]) -> bool:
    """Discriminator tags stand in pydantic's path right after a list index, or after `privacy` or
    `rows_per_unit`."""
    before = loc[place - 1] if place else None
    if before == "privacy":
        return loc[place] in ("none", "dp")
    if before == "rows_per_unit":
        return loc[place] in ("every", "each")
    return isinstance(before, int) and loc[place - 2] in ("columns", "constraints")


def _step(node: Any, part: Any) -> tuple[Any, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    return None


def _known_keys(path: list[Any]) -> list[str]:
    """Field names allowed at `path`, out of the JSON Schema."""
    schema = Plan.model_json_schema()
    level = [schema]
    for part in path:
        following: list[dict[str, Any]] = []
        for option in level:
            if isinstance(part, int):
                following += _options(option.get("items", {}), schema)
            else:
                following += _options(option.get("properties", {}).get(part, {}), schema)
        level = following
    return sorted({key for option in level for key in option.get("properties", {})})


def _options(found: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in found:
        return _options(schema["$defs"][found["$ref"].rsplit("/", 1)[-1]], schema)
    several = found.get("anyOf") or found.get("oneOf")
    if several:
        return [option for one in several for option in _options(one, schema)]
    return [found]
