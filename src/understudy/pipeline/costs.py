"""What a run under a budget would ask, in words, before anything is spent."""

from __future__ import annotations

from itertools import groupby

from understudy.errors import EngineError
from understudy.pipeline.planning import EPSILON, engine_of
from understudy.pipeline.private import COUNT_SHARE, declared, default_delta
from understudy.privacy.budget import Budget
from understudy.privacy.events import Composed, Event, Exponential, Gaussian, Laplace
from understudy.privacy.spending import DELTA
from understudy.privacy.units import rows_of
from understudy.schema.plan import DifferentialPrivacy, Plan
from understudy.synthesizers.registry import AUTO, configured


def costs(plan: Plan) -> str:
    """The budget as comment lines that may follow a plan file; empty for a run without one.

    Asks nothing: where only a bought number would tell (how many units there are, and so delta),
    it says what was assumed.
    """
    wanted = plan.privacy
    if not isinstance(wanted, DifferentialPrivacy):
        return ""
    lines = [f"budget: epsilon {wanted.epsilon:g} for all of this run"]
    if wanted.delta is not None:
        delta = wanted.delta
        lines.append(f"delta {delta:g}, as the plan says")
    elif wanted.public_units is not None:
        delta = default_delta(wanted.public_units)
        lines.append(f"delta {delta:g}, for {wanted.public_units:,} units")
    else:
        delta = DELTA
        lines.append(
            f"delta {delta:g} is assumed here; the run takes one over ten times the number of units"
        )
        lines.append(f"number of units: {_told(Laplace(1 / (COUNT_SHARE * wanted.epsilon)))}")
    if len(plan.data.tables) > 1:
        return "".join(f"# {line}\n" for line in [*lines, *_database(plan), "nothing was spent"])
    options = {} if plan.engine.name == AUTO else plan.engine.options
    engine = configured(engine_of(plan), options, target=plan.target)
    most = max(rows_of(wanted.rows_per_unit, spec.name) for spec in plan.data.tables)
    asked = engine.plan(  # type: ignore[attr-defined]
        plan.data, Budget(wanted.epsilon, delta), rows_per_unit=most
    )
    for stem, numbered in groupby(asked.queries, key=lambda q: q.name.rstrip("0123456789")):
        first, *rest = numbered
        name = f"{first.name} to {rest[-1].name.removeprefix(stem)}" if rest else first.name
        each = ", each" if rest else ""
        lines.append(f"{name}: {_told(first.event)}{each}; buys {first.buys}")
    rest = getattr(asked, "rest", "")
    if rest:
        lines.append(rest)
    lines.append("nothing was spent")
    return "".join(f"# {line}\n" for line in lines)


def _database(plan: Plan) -> list[str]:
    """How the budget is shared by the tables of a database."""
    from understudy.synthesizers.relational.private.learning import weights_of

    weights = weights_of(plan.data)
    whole = sum(weights.values())
    bounds = "how many rows of a unit are learnt from, in each table that the plan does not say"
    shares = [
        f"table {name}: {weight / whole:.0%} of 1/sigma^2" for name, weight in weights.items()
    ]
    return [f"first bought: {bounds}", *shares]


def prices(plan: Plan) -> str:
    """What a plan makes public by saying it and what a budget would buy, as comment lines.

    Empty for data that no engine with a budget takes.
    """
    wanted = DifferentialPrivacy(epsilon=EPSILON)
    try:
        bought = costs(plan.model_copy(update={"privacy": wanted}))
    except EngineError:
        return ""
    public = [f"#   {what}" for what in declared(plan.data, wanted, by_plan=True)]
    head = "# Under a budget, public by standing in this plan (take out what is not):"
    return "\n".join(["", head, *public, "# and bought, here for epsilon 3:", bought])


def _told(event: Event) -> str:
    match event:
        case Gaussian():
            off = 2 * event.sigma
            return f"counts within about {off:.3g} rows (Gaussian, sigma {event.sigma:.3g})"
        case Laplace():
            off = 3 * event.scale
            return f"a count within about {off:.3g} (Laplace, epsilon {1 / event.scale:.3g})"
        case Exponential():
            return f"a choice (exponential mechanism, epsilon {event.epsilon:.3g})"
        case Composed():
            return _told(event.events[0])
        case _:
            return str(event)
