"""Does an engine keep its budget? Neighbouring datasets find what leaves around the mechanisms,
canaries how much leaves through them; both on made-up rows."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.cli.options import Json


def replay(
    engine: Annotated[str, typer.Argument(help="See `understudy engines`.")],
    json: Json = False,
) -> None:
    from understudy.cli.verdict import EXIT, print_json
    from understudy.errors import EngineError
    from understudy.privacy.engine_audit import audit_engine
    from understudy.privacy.replay import replay_engine
    from understudy.privacy.replay_database import database
    from understudy.privacy.replay_example import example
    from understudy.synthesizers.registry import DATABASES, create, engine_class, engines

    made = create(engine)
    if not (engines()[engine].private or getattr(engine_class(engine), "private", False)):
        raise EngineError(
            f"engine {engine!r} keeps no privacy budget, so there is nothing to replay. An "
            "engine of yours that does says so with `private = True` on its class."
        )
    report = replay_engine(made, database() if engine == DATABASES else example(), subject=engine)
    if not json:
        print("\n".join(report.sentences()), flush=True)
    audit = audit_engine(made, subject=engine)
    if json:
        print_json({**report.as_dict(), "audit": audit.as_dict()})
    else:
        print("\n".join(audit.sentences()))
    raise typer.Exit(EXIT["PASS" if report.clean and audit.kept else "FAIL"])
