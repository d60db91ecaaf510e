"""`run` and `runs`: run a flow, list, show, export, import, replay, fork, compare."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench import access, jobs, releases, runtime, traces
from workbench.cli.output import Json, emit, no, progress, read_file, write_file
from workbench.errors import Invalid
from workbench.evals import backtests
from workbench.flows import transcripts
from workbench.traces import by_model, exchange, filters, phrases, query, readings, search, step_words
from workbench.traces.compare import Comparison, Pair
from workbench.traces.fork import change_words, read_change, read_tools

Asked = tuple[str, tuple[dict[str, str], ...]]
"""A message and what was said before it."""

app = typer.Typer(
    no_args_is_help=True, help="Recorded runs: list, show, export, import, replay, fork, compare, backtest."
)


def run(
    flow: Annotated[str, typer.Argument(help="name (its draft), name@v3 or name@production")],
    text: Annotated[str, typer.Argument(help="The customer's message; left out with --file.")] = "",
    conversation: Annotated[str, typer.Option(help="Go on with this conversation.")] = "",
    var: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A prompt variable.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON Lines with `input`, one run each.")] = None,
    json: Json = False,
) -> None:
    """Run a flow on a message and print reply, outcome and run id."""
    release = releases.resolve(flow)
    variables = _variables(var or [])
    environment = flow.partition("@")[2]
    if bool(text) == bool(file):
        raise Invalid("There must be either a message or --file.", remedy='Write: run FLOW "the message".')
    asked: list[Asked] = _inputs(file) if file else [(text, ())]
    access.require(access.local(), "run a flow")
    results = asyncio.run(_run_all(release, asked, conversation, variables, environment))
    traces.flush()
    data = [_told(one) for one in results]
    words = [
        f"{one.reply or one.error}\n[{one.outcome} · {one.agent} · {_models(one)} · {one.run_id}]" for one in results
    ]
    emit(data if file else data[0], "\n\n".join(words), as_json=json)
    if any(one.outcome == "error" for one in results):
        no()


async def _run_all(
    release: runtime.Release, asked: list[Asked], conversation: str, variables: dict[str, str], environment: str
) -> list[runtime.Result]:
    talk = traces.conversation(conversation) if conversation else None
    models, done = runtime.Models(), []
    try:
        for number, (text, history) in enumerate(asked, 1):
            if len(asked) > 1:
                progress(f"{number} of {len(asked)}")
            done.append(
                await runtime.run(
                    release,
                    text,
                    models=models,
                    sink=traces.sink(),
                    conversation=talk or runtime.Conversation(id="", items=history),
                    variables=variables,
                    source="cli",
                    person=access.local().name,
                    environment=environment,
                )
            )
    finally:
        await models.aclose()
    return done


Some = list[str] | None
"""Several values of one filter: any of them fits."""


@app.command("list")
def list_(
    flow: Annotated[Some, typer.Option()] = None,
    since: Annotated[str, typer.Option(help="A date or moment, ISO 8601, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Before this date or moment.")] = "",
    period: Annotated[str, typer.Option(help="The last so many hours or days: 24h, 7d.")] = "",
    outcome: Annotated[Some, typer.Option()] = None,
    version: Annotated[Some, typer.Option()] = None,
    agent: Annotated[Some, typer.Option(help="An agent that took part.")] = None,
    model: Annotated[Some, typer.Option()] = None,
    source: Annotated[Some, typer.Option()] = None,
    tool: Annotated[Some, typer.Option(help="A tool that was called.")] = None,
    tripped: Annotated[Some, typer.Option(help="A guardrail that tripped.")] = None,
    held: Annotated[Some, typer.Option(help="A guardrail that held something.")] = None,
    flagged: Annotated[bool, typer.Option("--flagged")] = False,
    flagged_by: Annotated[Some, typer.Option(help="Who flagged it.")] = None,
    label: Annotated[Some, typer.Option(help="A verdict, as: verdict: bad.")] = None,
    cause: Annotated[Some, typer.Option(help="The cause of a failure.")] = None,
    score: Annotated[Some, typer.Option(help="As: helpful below 0.5, or helpful<0.5.")] = None,
    words: Annotated[
        str, typer.Option(help='In question or reply; "quoted" words stand together, refu* goes on.')
    ] = "",
    about: Annotated[
        Some, typer.Option(help="A word that is said, or stands in the name of a tool it asks for.")
    ] = None,
    slower: Annotated[str, typer.Option(help="More than so many seconds.")] = "",
    faster: Annotated[str, typer.Option(help="Less than so many seconds.")] = "",
    dearer: Annotated[str, typer.Option(help="More than so many US dollars.")] = "",
    cheaper: Annotated[str, typer.Option(help="Less than so many US dollars.")] = "",
    customer: Annotated[str, typer.Option(help="An e-mail address or conversation.")] = "",
    wish: Annotated[str, typer.Option(help="The runs you want, in plain English; the filters are told.")] = "",
    read_by: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Let this model (its role or name) read the wish; else our grammar does."),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    json: Json = False,
) -> None:
    """The newest runs that fit every filter."""
    given: dict[str, Any] = {name: value for name, value in locals().items() if name in filters.Filters.model_fields}
    state = {name: list(value) if isinstance(value, list) else [str(value)] for name, value in given.items() if value}
    state = {**(_wished(wish, read_by) if wish else {}), **state}
    state |= {
        name: [found.isoformat()] for name in ("since", "until") if (found := moment((state.get(name) or [""])[0]))
    }
    if flagged:
        state["flagged"] = ["true"]
    runs = query.listed(search.page(filters.read(state), limit=limit))
    lines = [
        f"{r.id}  {r.started_at:%Y-%m-%d %H:%M}  {r.flow} {r.version}  {r.outcome}  {r.question[:60]}" for r in runs
    ]
    emit(runs, "\n".join(lines) or "No runs fit.", as_json=json)


def _wished(wish: str, model: str) -> dict[str, list[str]]:
    """The filters of a wish, told on standard error. Raises Invalid for words that were not understood."""
    known, now = search.known(), dt.datetime.now(dt.UTC)
    read = _by_model(wish, known, model, now) if model else phrases.parse(wish, known, now=now)
    if read.missed:
        missed = ", ".join(read.missed)
        raise Invalid(f"Not understood: {missed}.", remedy="Say it in other words, or use the options.")
    progress("; ".join(words for _, _, words in filters.told(read.filters)) or "every run")
    return read.filters.address()


def _by_model(wish: str, known: phrases.Known, model: str, now: dt.datetime) -> phrases.Read:
    found = asyncio.run(by_model.read(access.local(), wish, known, readings.reader(model), now=now))
    progress(f"{found.record.model}: {found.record.cost}")
    if found.understood is None:
        raise Invalid(found.record.problem, remedy="Leave --read-by out: our grammar reads.")
    return found.understood


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """A run: the conversation and its steps."""
    record = traces.record(run_id)
    lines = [f"customer: {record['question']}", *step_words(record), f"reply: {record['reply'] or record['error']}"]
    lines.append(
        f"[{record['outcome']} · {', '.join(record['models'])} · {record['seconds']:.2f} s · {record['digest'][:19]}]"
    )
    emit(record, "\n".join(lines), as_json=json)


@app.command()
def export(
    run_id: Annotated[str, typer.Argument(metavar="ID")],
    file: Annotated[Path | None, typer.Argument()] = None,
    json: Json = False,
) -> None:
    """A run with the frozen flow it needs, as one JSON document."""
    text = traces.export(run_id)
    if file:
        write_file(file, text)
        emit({"run_id": run_id, "file": file}, f"{run_id} written to {file}", as_json=json)
    else:
        print(text, end="")


@app.command("import")
def import_(file: Path, json: Json = False) -> None:
    """Take in runs: an export, unsaved runs, OTLP in JSON, an Agents SDK trace export, or chat transcripts (also .gz)."""
    packed = file.suffix.lower() == ".gz"
    text = transcripts.text(file) if packed else read_file(file)
    added = traces.take_in(access.local(), text, file.name.split(".")[0])
    emit({"added": added}, f"{len(added)} runs added", as_json=json)


@app.command()
def receive(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 4318,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that take them.")] = 2,
) -> None:
    """Take runs of other programs over OTLP/HTTP (GenAI or OpenInference attributes) until stopped."""
    from workbench import store
    from workbench.traces import receive

    store.migrate()
    receive.serve(address, port, workers, lambda where: progress(f"Runs are taken at {where} (Ctrl-C ends it)"))


@app.command()
def keep(
    flow: Annotated[str, typer.Argument(metavar="[FLOW]")] = "",
    days: Annotated[int, typer.Argument(metavar="[DAYS]", min=0)] = 0,
    json: Json = False,
) -> None:
    """For how many days the runs of each flow are kept; with FLOW and DAYS, set it (0: without an end)."""
    from workbench.traces import forget

    if flow:
        forget.keep(access.local(), flow, days)
    found = forget.kept()
    lines = [f"{one.flow}: {one.days:,} days, set by {one.set_by}" for one in found]
    emit(found, "\n".join(lines) or "All runs are kept without an end.", as_json=json)


@app.command()
def expire(json: Json = False) -> None:
    """Delete the runs that are older than their flows keep them; a running worker does so by itself."""
    from workbench.traces import forget

    report = forget.expire()
    emit(report, report.words, as_json=json)


@app.command()
def delete(
    value: Annotated[str, typer.Argument(help="A customer's e-mail address, number, or conversation id.")],
    confirm: Annotated[bool, typer.Option("--confirm", help="Delete; without it, only say what would be.")] = False,
    json: Json = False,
) -> None:
    """Delete everything of one customer, with a report. Exit code 1 where nothing is found."""
    from workbench.traces import forget, forget_job

    actor = access.local()
    if traces.count() <= forget_job.MANY:
        report = forget.customer(actor, value, confirmed=confirm)
    else:
        job_id = forget_job.start(actor, value, confirmed=confirm)
        done = jobs.run_here(job_id, watch=lambda job: progress(f"{job.done:,} of {job.total:,} runs looked into"))
        if done.state != "done":
            raise Invalid(f"The deletion ended as {done.state}. {done.message}".strip(), remedy="Start it again.")
        report = forget_job.report(actor, job_id)
    emit(report, report.words, as_json=json)
    if not any(report.deleted.values()):
        no()


@app.command()
def replay(
    run_ids: Annotated[list[str] | None, typer.Argument(metavar="ID")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every stored run.")] = False,
    strict: Annotated[bool, typer.Option(help="Also find what was changed after it was recorded.")] = False,
    json: Json = False,
) -> None:
    """Run again from the record. Exit code 1 where a replay differs or is impossible."""
    chosen = traces.ids() if every else list(run_ids or [])
    if not chosen:
        raise Invalid("Nothing to replay.", remedy="Name a run, or use --all.")
    verdicts = [traces.replay(access.local(), one, strict=strict) for one in chosen]
    faithful = sum(v.verdict == "faithful" for v in verdicts)
    lines = [f"{v.run_id}  {v}" for v in verdicts]
    emit(verdicts, "\n".join([*lines, f"{faithful} of {len(verdicts)} faithful"]), as_json=json)
    if faithful < len(verdicts):
        no()


@app.command()
def steps(run_id: Annotated[str, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """The steps of a run with their numbers: where a fork can begin."""
    found = traces.steps(traces.record(run_id))
    emit(found, "\n".join(f"{one.number:>4}  {one.words}" for one in found), as_json=json)


@app.command()
def fork(
    run_id: Annotated[str, typer.Argument(metavar="ID")],
    at: Annotated[str, typer.Option(help="A step: its number in `runs steps`, start, end, or the id of a span.")],
    change: Annotated[Path, typer.Option(help="JSON with exactly one change.")],
    tools: Annotated[Path | None, typer.Option(help="JSON: who answers the calls of which tool.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Let live tools change something for real.")] = False,
    json: Json = False,
) -> None:
    """Run again with exactly one change from a step on, and compare. Exit code 1 where the run does not replay.

    \b
    The change is one of:
      {"instructions": {"agent": "refunds", "text": "..."}}
      {"model": {"agent": "refunds", "role": "small|main|reasoning"}}
      {"answer": any JSON}    what the tool call at the step answers
      {"error": "..."}        how it fails
      {"guardrail": {"name": "no-cards", "remove": true}}
      {"guardrail": {"name": "no-cards", "settings": {...}}}
      {"message": "..."}      what the customer writes, at start or end

    \b
    The tools' file names who answers calls from the step on; "recorded" where it says nothing:
      {"find_order": "live",
       "crm_note": {"use": "recorded", "miss": "refuse|mock|live",
                    "answers": [{"when": {...}, "answer": ..., "error": "..."}]}}
    """
    asked = read_change(read_file(change))
    policies = read_tools(read_file(tools)) if tools else None
    made = traces.fork(access.local(), run_id, at, asked, tools=policies, confirmed=confirm)
    plain = None if made.comparison is None else made.comparison.plain
    forked = None if made.record is None else made.record["forked"]
    told = {"run_id": made.run_id, "replay": made.replay, "words": made.words, "forked": forked, "comparison": plain}
    lines = [made.words]
    if made.record is not None and made.comparison is not None:
        record = made.record
        lines = [f"{record['reply'] or record['error']}", f"[{record['outcome']} · {made.run_id}]", ""]
        lines += [f"{change_words(record['forked']['change'])}, from step {record['forked']['step']} of {run_id}"]
        lines += [made.words, *_compared(made.comparison)]
    emit(told, "\n".join(lines), as_json=json)
    if made.record is None:
        no()


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="A")],
    other: Annotated[str, typer.Argument(metavar="B")],
    json: Json = False,
) -> None:
    """Two runs step by step. Exit code 1 where they differ."""
    found = traces.between(one, other)
    parted = found.divergence
    first = f"First divergence at {parted}." if parted else "The runs are the same, step by step."
    emit(found.plain, "\n".join([first, *_compared(found)]), as_json=json)
    if parted:
        no()


@app.command()
def backtest(
    flow: Annotated[str, typer.Argument(help="The candidate: name (its draft), name@v3 or name@production.")],
    since: Annotated[str, typer.Option(help="Only runs from this date or moment on, ISO 8601, UTC.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=backtests.MOST, help="At most so many, the newest.")] = 200,
    file: Annotated[Path | None, typer.Option(help="Runs from an export or from JSON Lines, taken in first.")] = None,
    json: Json = False,
) -> None:
    """Recorded runs through a candidate, with the recorded answers of the tools. Exit code 1 where one is worse."""
    actor, candidate = access.local(), releases.resolve(flow)
    if file is not None:
        text = read_file(file)
        traces.take_in(actor, text)
        ids = exchange.named(text)[:limit]
    else:
        ids = backtests.chosen(candidate.name, since=moment(since), limit=limit)
    made = backtests.create(actor, candidate, ids)
    jobs.run_here(made.job_id, watch=lambda job: progress(f"{job.done} of {job.total} runs"))
    found = backtests.report(made.id)
    lines = [
        f"{one.verdict:<15} {one.run_id} {one.new_run_id or '-'}" + (f"  {one.why}" if one.why else "")
        for one in found.pairs
        if one.verdict != "same"
    ]
    lines += [f"{name}: {share}" for name, share in found.shares.items()]
    lines.append(f"{made.id}: {found.done} of {made.runs} run, {found.state}")
    shares = {
        name: {"count": s.passed, "of": s.total, "low": s.low, "high": s.high} for name, s in found.shares.items()
    }
    told = {"backtest": made, "state": found.state, "shares": shares, "pairs": found.pairs}
    emit(told, "\n".join(lines), as_json=json)
    if found.state != "done" or found.shares["worse"].passed:
        no()


def _compared(found: Comparison) -> list[str]:
    """Each pair of steps in a line, the texts that differ below it, and what both runs took."""
    lines = []
    for pair in found.pairs:
        sides = " | ".join("   -" if side is None else f"{side.number:>4}" for side in (pair.one, pair.other))
        lines.append(f"{sides}  {pair.step.title}" + (f": {pair.words}" if pair.words else ""))
        if pair.verdict == "changed":
            lines += [line for part in pair.what for line in _changed(part, pair)]
    return [*lines, *(f"{d.name}: {_value(d.one)} and {_value(d.other)}" for d in found.deltas)]


def _changed(part: str, pair: Pair) -> list[str]:
    signs = {"removed": "-", "added": "+"}
    return [f"             {signs[line.kind]} {part}: {line.text}" for line in pair.diff(part) if line.kind in signs]


def _value(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def moment(text: str) -> dt.datetime | None:
    """An ISO date or moment, UTC where it names no zone. Raises Invalid."""
    if not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text} is not a date.", remedy="Write it as 2026-11-21 or 2026-11-21T08:00.") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _variables(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise Invalid(f"--var {wrong[0]} has no value.", remedy="Write --var NAME=VALUE.")
    return dict(pair.split("=", 1) for pair in pairs)


def _inputs(file: Path) -> list[Asked]:
    from workbench import datasets

    given = (
        (n, {"id": f"line-{n}", **body} if isinstance(body, dict) else body)
        for n, body in datasets.lines(read_file(file))
    )
    cases = [datasets.case_of(body, where=f"Line {number}") for number, body in given]
    if not cases:
        raise Invalid(f"{file} has no inputs.", remedy="Write one JSON object a line, with `input`.")
    return [(case.question, case.history) for case in cases]


def _models(result: runtime.Result) -> str:
    return ", ".join(result.record["models"])


def _told(result: runtime.Result) -> dict[str, Any]:
    record = result.record
    return {
        "run_id": result.run_id,
        "conversation": record["conversation"],
        "flow": record["flow"],
        "version": record["version"],
        "reply": result.reply,
        "outcome": result.outcome,
        "agent": result.agent,
        "error": result.error,
        "models": record["models"],
        "usage": record["usage"],
        "seconds": round(result.seconds, 4),
    }
