"""`python -m workbench.runtime`: run or verify a release from the command line, without the workbench."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from workbench.errors import Invalid, WorkbenchError
from workbench.runtime import source
from workbench.runtime.environment import roles


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: done. 1: the file does not verify. 2: unusable input."""
    parser = argparse.ArgumentParser(prog="python -m workbench.runtime", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="answer one message")
    run.add_argument("release", help="a release file, or FOLDER#flow@production")
    run.add_argument("text")
    run.add_argument("--var", action="append", default=[], metavar="NAME=VALUE")
    run.add_argument("--record", metavar="FILE|URL", help="add the run to a file, or send it to an OTLP/HTTP collector")
    verify = verbs.add_parser("verify", help="check a release file against its digest")
    verify.add_argument("release")
    for verb in (run, verify):
        verb.add_argument("--json", action="store_true", help="print exactly one JSON document")
    given = parser.parse_args(arguments)
    try:
        return _verify(given) if given.verb == "verify" else _run(given)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 2


def _verify(given: argparse.Namespace) -> int:
    try:
        release = source.load(given.release)
    except Invalid as error:
        if given.json:
            print(json.dumps({"file": given.release, "intact": False, "why": error.message}, ensure_ascii=False))
        print(error, file=sys.stderr)
        return 1
    told = {
        "file": given.release,
        "intact": True,
        "flow": release.name,
        "version": release.version,
        "digest": release.digest,
    }
    print(json.dumps(told) if given.json else f"{release.name} {release.version} is intact: {release.digest}")
    return 0


def _run(given: argparse.Namespace) -> int:
    from workbench.runtime import engine, sinks

    release = source.load(given.release)
    variables = dict(pair.partition("=")[::2] for pair in given.var)
    environment = given.release.rpartition("@")[2] if "#" in given.release else ""
    sink = sinks.to(given.record) if given.record else None
    result = asyncio.run(
        engine.run(release, given.text, variables=variables, environment=environment, models=None, sink=sink)
    )
    if sink is not None:
        sink.close()
    if given.json:
        print(
            json.dumps(
                {
                    "reply": result.reply,
                    "outcome": result.outcome,
                    "agent": result.agent,
                    "run_id": result.run_id,
                    "flow": release.name,
                    "version": release.version,
                    "digest": release.digest,
                    "models": result.record["models"],
                    "usage": result.record["usage"],
                    "seconds": round(result.seconds, 4),
                    "error": result.error,
                },
                ensure_ascii=False,
            )
        )
    else:
        print(result.reply or result.error)
        print(
            f"[{result.outcome} by {release.name} {release.version} · {', '.join(result.record['models'])}"
            f" · {result.run_id}]"
        )
    return 1 if result.outcome == "error" else 0


if __name__ == "__main__":
    # The model names are read before anything runs, so that an unusable setting is one line and exit code 2.
    try:
        roles()
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(main())
