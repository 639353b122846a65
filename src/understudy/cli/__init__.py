"""The command line: one thin file per verb, loaded when the verb is used."""

from __future__ import annotations

import os
import sys

from understudy.runtime.parallel import limit_threads

VERBS = {
    "demo": "The main job on real records that come with a dependency; writes runs/demo.",
    "inspect": "Kinds, keys, identifiers, rare groups, strategy -> an editable plan.",
    "run": "Split, fit, sample, evaluate, attack, decide, bundle; rerun resumes.",
    "fit": "One engine on all rows given.",
    "sample": "Rows from a fitted model.",
    "impute": "Fills missing cells from a fitted model.",
    "audit": "Judges anybody's synthetic data.",
    "release": "Writes the bundle of a run that did not pass, stamped with its verdict.",
    "report": "Opens a run's report, compares two runs, or draws several on a frontier.",
    "engines": "What engines there are and when to take them.",
    "ledger": "What was spent on a dataset (show), whether it is whole (verify), its cap (cap).",
    "selfcheck": "Planted leaks must be caught, harmless tables must pass.",
    "replay": "Does an engine keep its budget? Neighbouring datasets and canaries try it.",
}


def main() -> None:
    """Entry point: errors of the user's become one paragraph and exit code 2."""
    limit_threads(_threads(sys.argv))
    from understudy.cli.app import build
    from understudy.errors import UnderstudyError, UserError

    try:
        build()()
    except UserError as error:
        _say(f"{type(error).__name__}: {error}", 2)
    except UnderstudyError as error:
        _say(f"{type(error).__name__}: {error}", 1)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != 130:  # 130: typer's own answer to Ctrl-C
            raise
        _say("Stopped. Finished steps are kept; run the same command again to go on.", 130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        _say(f"{type(error).__name__}: {error.strerror or error} {error.filename or ''}".strip(), 2)
    except Exception as error:
        if os.environ.get("UNDERSTUDY_DEBUG"):
            raise
        _say(
            f"A fault of ours: {type(error).__name__}: {error}. UNDERSTUDY_DEBUG=1 shows where; "
            "please report it with the command.",
            1,
        )


def _say(message: str, code: int) -> None:
    if os.environ.get("UNDERSTUDY_DEBUG"):
        import traceback

        traceback.print_exc()
    print(message, file=sys.stderr)
    sys.exit(code)


def _threads(arguments: list[str]) -> int:
    """`--threads N`, read before numpy is imported."""
    for i, word in enumerate(arguments):
        if word.startswith("--threads="):
            word, following = word.split("=", 1)
        elif word == "--threads" and i + 1 < len(arguments):
            following = arguments[i + 1]
        else:
            continue
        return int(following) if following.isdigit() else 1
    return 1
