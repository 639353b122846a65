"""What engines there are, what each needs, when to take it."""

from __future__ import annotations

from dataclasses import asdict

from understudy.cli.options import Json


def engines(json: Json = False) -> None:
    from understudy.cli.verdict import print_json
    from understudy.synthesizers.registry import engines as known

    if json:
        print_json([asdict(info) for info in known().values()])
        return
    for info in known().values():
        print(f"{info.name}\n  what   {info.what}\n  needs  {info.needs}\n  when   {info.when}")
