"""`tickets topics …` and `tickets enrich`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench import access, jobs
from workbench.cli.output import Json, emit, progress
from workbench.errors import Unavailable
from workbench.jobs import Job

if TYPE_CHECKING:
    from workbench.tickets.topics import Topic

app = typer.Typer(no_args_is_help=True, help="Topics found in tickets' words.")

Name = Annotated[str, typer.Argument(help="A topic's name or number.")]


@app.command("find")
def find(
    count: Annotated[int | None, typer.Option(help="How many; default: as the tickets tell.")] = None,
    as_json: Json = False,
) -> None:
    """Find topics, and give every ticket one; topics that are found again keep their numbers and names."""
    from workbench.tickets import discover

    _run(discover.start(access.local(), count))
    listing(as_json)


@app.command("list")
def listing(as_json: Json = False) -> None:
    """All topics, those below another one indented, and what is proposed."""
    from workbench.tickets import topics

    known = topics.tree()
    lines = []
    for one in known:
        if one.parent is None:
            lines.append(_line(one))
            lines += [f"  {_line(below)}" for below in known if below.parent == one.number]
    lines += [f"proposed: {_line(one)}" for one in topics.proposals()]
    emit([*known, *topics.proposals()], "\n".join(lines) or "No topics yet.", as_json=as_json)


@app.command()
def rename(topic: Name, name: str, as_json: Json = False) -> None:
    """Call a topic something else."""
    from workbench.tickets import topics

    number = topics.named(topic).number
    topics.rename(access.local(), number, name)
    _told(as_json)


@app.command()
def merge(topic: Name, into: Name, as_json: Json = False) -> None:
    """Make a topic part of another."""
    from workbench.tickets import topics

    topics.merge(access.local(), topics.named(topic).number, topics.named(into).number)
    _told(as_json)


@app.command()
def move(
    topic: Name,
    under: Annotated[str, typer.Option(help="The topic above; without it, to the top.")] = "",
    as_json: Json = False,
) -> None:
    """Put a topic under another one, or at the top."""
    from workbench.tickets import topics

    topics.move(access.local(), topics.named(topic).number, topics.named(under).number if under else None)
    _told(as_json)


@app.command()
def assign(
    ticket: Annotated[str, typer.Argument(help="A ticket's id.")],
    topic: Annotated[str, typer.Argument(help="A topic's name or number; none: no topic.")] = "",
    as_json: Json = False,
) -> None:
    """Put one ticket under a topic, whatever was found in its words."""
    from workbench.tickets import assign as work
    from workbench.tickets import topics

    work.assign(access.local(), ticket, topics.named(topic).number if topic else work.NO_TOPIC)
    _told(as_json)


@app.command()
def split(topic: Name, pieces: Annotated[int, typer.Option(min=2, max=8)] = 2, as_json: Json = False) -> None:
    """Find subtopics in a topic's tickets."""
    from workbench.tickets import discover, topics

    _run(discover.split(access.local(), topics.named(topic).number, pieces))
    listing(as_json)


@app.command()
def remove(topic: Name, as_json: Json = False) -> None:
    """Take a topic away; its tickets then have none."""
    from workbench.tickets import topics

    topics.remove(access.local(), topics.named(topic).number)
    _told(as_json)


@app.command()
def undo(as_json: Json = False) -> None:
    """Take back the last change."""
    from workbench.tickets import topics

    what = topics.undo(access.local())
    emit({"undone": what}, f"Undone: {what}.", as_json=as_json)


@app.command()
def propose(as_json: Json = False) -> None:
    """Look for new topics among the newest tickets that have none."""
    from workbench.tickets import discover

    found = discover.propose(access.local())
    emit(found, "\n".join(_line(one) for one in found) or "Nothing new.", as_json=as_json)


@app.command()
def accept(number: Annotated[int, typer.Argument(help="A proposal's number.")], as_json: Json = False) -> None:
    """Make a proposal a topic, and assign tickets to it."""
    from workbench.tickets import discover

    _run(discover.accept(access.local(), number))
    listing(as_json)


def enrich(
    kinds: Annotated[
        list[str] | None, typer.Argument(help="language, sentiment, topic, masked; default: what can be.")
    ] = None,
    model: Annotated[bool, typer.Option("--model", help="Ask the connected model: topic and sentiment only.")] = False,
    confirm: Annotated[
        bool, typer.Option("--yes", help="Send the masked tickets; without it, only the cost is told.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find what the help desk left open in tickets' words, on this machine, or by the connected model."""
    from workbench.tickets import enrich as work
    from workbench.tickets.figures import counted
    from workbench.traces import masking

    if not kinds:
        kinds = ["topic"] if model else [one.kind for one in work.states() if one.kind != "sentiment"]
    if model and not confirm:
        told = work.estimate(kinds)
        how = "as they are: masking is off" if masking.rules().off else "masked"
        cost = "of unknown price" if told.usd is None else f"about ${told.usd:,.2f}"
        words = f"{counted(told.tickets, 'ticket')}, about {told.tokens_in + told.tokens_out:,} tokens to and from {told.model}, {cost}."
        emit(told, f"{words} Add --yes to send them, {how}.", as_json=as_json)
        return
    _run(work.create(access.local(), kinds, model=model))
    states = work.states()
    lines = [f"{work.KINDS[one.kind]}: {one.file:,} by the help desk, {one.found:,} found here" for one in states]
    emit(states, "\n".join(lines), as_json=as_json)


def _run(job_id: str) -> None:
    done = jobs.run_here(job_id, watch=_watch)
    if done.state != "done":
        raise Unavailable(f"{done.title}: {done.message or done.state}.", remedy="What was finished was kept.")


def _watch(job: Job) -> None:
    progress(f"{job.done:,} of {job.total:,} tickets")


def _told(as_json: bool) -> None:
    from workbench.tickets import topics

    last = topics.history(1)[0]
    emit(last, f"{last.what[:1].upper()}{last.what[1:]}.", as_json=as_json)


def _line(one: Topic) -> str:
    from workbench.tickets.figures import counted

    return f"{one.number}  {one.name}  ({counted(one.tickets, 'ticket')} it was found in)"
