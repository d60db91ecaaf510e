"""Starting: the app, a worker, the sample data, the health check."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from typing import Any

from workbench import store
from workbench.cli.output import emit, no, progress
from workbench.errors import Invalid, Unavailable


def ready(*, port: int, address: str, seed: bool) -> None:
    """Create, migrate and seed what is missing, so that the app can be served.

    Raises Unavailable where the port is in use or the database cannot be written.
    """
    _port_free(address, port)
    store.migrate()
    if seed:
        from workbench.operations import seed as sample

        if sample.missing():
            _seed(50_000, 548, 7)


def fill(tickets: int, days: int, seed: int, json: bool) -> None:
    """Make the sample workspace and say what was made."""
    made = _seed(tickets, days, seed)
    text = f"{made.tickets:,} tickets, {made.flows} flows, {made.runs} runs, {made.cases} cases, release {made.release or 'none new'}"
    emit(made, text, as_json=json)


def health(json: bool) -> None:
    """One line for each part; exit code 1 where one is not well."""
    from workbench.operations.health import check

    lines = check()
    emit(lines, "\n".join(f"{'ok' if one.well else 'NO'}  {one.name}: {one.words}" for one in lines), as_json=json)
    if not all(one.well for one in lines):
        no()


def work() -> None:
    """Take jobs, and let approvals expire, until stopped. Raises Invalid where another process is the worker of this SQLite database."""
    from workbench import jobs
    from workbench.operations import prepare
    from workbench.traces import clock

    prepare.register()
    store.migrate()
    if not jobs.launch(worker=True):
        jobs.stop()
        raise Invalid(
            "Another process is the worker of this database.",
            remedy="With SQLite the app works itself; for more workers set WORKBENCH_DATABASE_URL to PostgreSQL.",
        )
    clock.start()
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    progress("The worker waits for jobs (Ctrl-C ends it)")
    ended.wait()
    clock.stop()
    jobs.stop()


def _seed(tickets: int, days: int, number: int) -> Any:
    from workbench import access
    from workbench.operations import seed as sample

    last = [""]

    def tell(what: str, share: float) -> None:
        line = f"{share:4.0%}  {what}"
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)
        elif what != last[0]:
            progress(line)
        last[0] = what

    return sample.seed(access.local("admin"), tell, count=tickets, days=days, number=number)


def _port_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise Unavailable(
                f"The port {port} on {address} cannot be used: {error.strerror}.", remedy="Choose another with --port."
            ) from None
