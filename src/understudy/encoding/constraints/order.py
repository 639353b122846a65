"""In which order constraints are applied, and which cannot stand together.

Every rule takes away the columns it can work out and reads others to do so. A rule that reads a
column must be applied before the rule that takes it away, so that on the way back the column is
there again when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from understudy.encoding.constraints.checks import describe
from understudy.encoding.constraints.combinations import merged
from understudy.errors import ConstraintError
from understudy.schema import (
    LEARNT_KINDS,
    Dependency,
    FixedCombinations,
    Inequality,
    Range,
    Sum,
    Table,
)
from understudy.schema.constraints import columns_of

Shaping = Inequality | Sum | Dependency | FixedCombinations


def ordered(spec: Table) -> list[Shaping]:
    """The rules that need a step, in the order of the way forward.

    Rules that others imply are left out. Raises ConstraintError where two rules would both have to
    work out one column, where rules need each other in a circle, and for columns no engine learns.
    """
    dependencies = [r for r in spec.constraints if isinstance(r, Dependency)]
    dependencies = [rule for rule in dependencies if not _made_unique(rule, spec)]
    joint, lookups = _joint_or_lookup(dependencies, spec)
    joint += [r for r in spec.constraints if isinstance(r, FixedCombinations)]
    combinations = _absorbing(joint, lookups)
    others = [r for r in spec.constraints if isinstance(r, Inequality | Sum)]
    rules: list[Shaping] = [*combinations]
    for other in dict.fromkeys([*others, *lookups]):
        if not any(set(columns_of(other)) <= set(whole.columns) for whole in combinations):
            rules.append(other)
    for rule in rules:
        _require_learnt(rule, spec)
    return _sorted(rules)


def ranges(spec: Table) -> list[Range]:
    return [rule for rule in spec.constraints if isinstance(rule, Range)]


def removes(rule: Shaping) -> tuple[str, ...]:
    """The columns a rule works out."""
    match rule:
        case Inequality():
            return (rule.high,)
        case Sum():
            return (rule.total,)
        case Dependency():
            return (rule.determines,)
        case FixedCombinations():
            return rule.columns


def reads(rule: Shaping) -> tuple[str, ...]:
    """The columns it works them out from."""
    return tuple(name for name in columns_of(rule) if name not in removes(rule))


def _joint_or_lookup(
    dependencies: Sequence[Dependency], spec: Table
) -> tuple[list[FixedCombinations], list[Dependency]]:
    """Dependencies as joint columns, or as lookups where `by` is one column of given labels.

    Numbers and dates may be drawn at values the source has not, and so may combinations: a lookup
    would find nothing there.
    """
    joint: list[FixedCombinations] = []
    lookups: dict[str, Dependency] = {}
    for rule in dependencies:
        labels = spec.column(rule.by[0]).kind in ("category", "boolean")
        if len(rule.by) > 1 or not labels or rule.determines in rule.by:
            joint.append(_together(rule))
        elif rule.determines in _origins(rule.by[0], lookups):
            continue  # the lookups already fix `by` by what it determines, one to one
        elif rule.determines in lookups and lookups[rule.determines] != rule:
            joint += [_together(lookups.pop(rule.determines)), _together(rule)]
        else:
            lookups[rule.determines] = rule
    return joint, list(lookups.values())


def _origins(column: str, lookups: dict[str, Dependency]) -> list[str]:
    """The columns that `column` is looked up from, directly or through others."""
    found: list[str] = []
    while column in lookups and lookups[column].by[0] not in found:
        column = lookups[column].by[0]
        found.append(column)
    return found


def _absorbing(
    joint: list[FixedCombinations], lookups: list[Dependency]
) -> list[FixedCombinations]:
    """Joint columns, grown by the lookups that would work out one of their parts."""
    combinations = merged(joint)
    while True:
        inside = {name for rule in combinations for name in rule.columns}
        clash = next((rule for rule in lookups if rule.determines in inside), None)
        if clash is None:
            return combinations
        lookups.remove(clash)
        combinations = merged([*combinations, _together(clash)])


def _together(rule: Dependency) -> FixedCombinations:
    return FixedCombinations(columns=tuple(dict.fromkeys((*rule.by, rule.determines))))


def _made_unique(rule: Dependency, spec: Table) -> bool:
    """Identifiers are made anew, each once: whatever follows from one follows trivially."""
    return any(spec.column(name).kind == "identifier" for name in rule.by)


def _require_learnt(rule: Shaping, spec: Table) -> None:
    for name in columns_of(rule):
        kind = spec.column(name).kind
        if kind not in LEARNT_KINDS:
            raise ConstraintError(
                f"the constraint {describe(rule)} names column {name!r} of kind {kind}, whose "
                "values are never copied from the source. Drop the constraint, or declare the "
                "column a category if its values may be shown."
            )


def _sorted(rules: list[Shaping]) -> list[Shaping]:
    owner: dict[str, int] = {}
    for place, rule in enumerate(rules):
        for name in removes(rule):
            if name in owner:
                raise ConstraintError(
                    f"the constraints {describe(rules[owner[name]])} and {describe(rule)} would "
                    f"both have to work out column {name!r}. Keep one of them."
                )
            owner[name] = place
    graph = TopologicalSorter[int]({place: set() for place in range(len(rules))})
    for place, rule in enumerate(rules):
        for name in reads(rule):
            if name in owner:
                graph.add(owner[name], place)
    try:
        return [rules[place] for place in graph.static_order()]
    except CycleError as error:
        circle = "; ".join(describe(rules[place]) for place in dict.fromkeys(error.args[1]))
        raise ConstraintError(
            f"these constraints need each other in a circle: {circle}. Drop one of them."
        ) from error
