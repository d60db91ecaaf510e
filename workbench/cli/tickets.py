"""`tickets load`, `tickets query`, `tickets topics` and `tickets enrich`.

Each command imports what only it needs: a load need not wait for the libraries of Ask.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workbench import access, settings, tickets
from workbench.cli import topics
from workbench.cli.output import Json, emit, progress
from workbench.errors import Invalid
from workbench.tickets import metrics, trends
from workbench.tickets.figures import counted

if TYPE_CHECKING:
    from workbench.tickets import opportunities

app = typer.Typer(no_args_is_help=True, help="Load tickets and ask what changed.")
app.add_typer(topics.app, name="topics")
app.command("enrich")(topics.enrich)

SHOWN = 5


@app.command()
def load(
    file: Annotated[Path, typer.Argument(help="CSV, JSON Lines or Parquet.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file that names the columns.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Say what would happen; change nothing.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put the file in the place of all tickets.")] = False,
    as_json: Json = False,
) -> None:
    """Load a file of tickets into the current ones: new ones join, others are brought up to date."""
    how = tickets.mapping.read(mapping) if mapping else None
    progress(f"Reading {file.name}")
    loaded = tickets.load(access.local("admin"), file, mapping=how, preview=preview, replace_all=replace)
    emit(loaded, _say_loaded(loaded), as_json=as_json)


@app.command()
def query(
    metric: Annotated[str, typer.Argument(help=", ".join(metrics.METRICS))],
    by: Annotated[list[str] | None, typer.Option(help="Dimension to break down by; may be repeated.")] = None,
    grain: Annotated[str | None, typer.Option(help="day, week or month.")] = None,
    start: Annotated[dt.datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, UTC.")] = None,
    end: Annotated[dt.datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, UTC.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="DIM=VALUE; repeat for more.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the current tickets."""
    answer = tickets.query(
        metric,
        by=[name for part in by or [] for name in part.split(",")],
        grain=cast(trends.Grain | None, grain),
        start=start.date() if start else None,
        end=end.date() if end else None,
        where=_conditions(where or []),
    )
    emit(answer, _say_answer(answer), as_json=as_json)


@app.command()
def brief(
    week: Annotated[str, typer.Option(help="Such as 2026-W47; the newest whole week where it is left out.")] = "",
    markdown: Annotated[Path | None, typer.Option(help="Write it to this file as Markdown.")] = None,
    as_json: Json = False,
) -> None:
    """The brief for Product: what moved in a week, and whether that is more than chance."""
    from workbench.tickets import brief as briefs
    from workbench.tickets import brief_notes, brief_text, weeks

    period = weeks.named(week) if week else weeks.latest()
    found, note = briefs.brief(period), brief_notes.note(period)
    if markdown is not None:
        try:
            markdown.write_text(brief_text.markdown(found, note, settings.load().url), encoding="utf-8")
        except OSError as error:
            raise Invalid(f"{markdown} cannot be written: {error.strerror}.", remedy="Name another file.") from error
        progress(f"Written to {markdown}")
    emit(
        {"brief": found, "note": note}, f"{brief_text.title(found)}\n\n{brief_text.lines(found, note)}", as_json=as_json
    )


@app.command(name="opportunities")
def opportunities_(
    by: Annotated[str, typer.Option(help="channel (topic and channel) or subtopic (with product).")] = "channel",
    days: Annotated[int, typer.Option(min=1, help="So many days, up to the newest ticket.")] = 90,
    minutes: Annotated[float, typer.Option(help="Work on a ticket, where the tickets do not tell it.")] = 12.0,
    as_json: Json = False,
) -> None:
    """Kinds of tickets that repeat, by the hours a month that could likely be saved."""
    from workbench.tickets import opportunities

    found = opportunities.opportunities(trends.last_days(days), by=cast(opportunities.Kind, by), minutes=minutes)
    emit(found, _say_opportunities(found), as_json=as_json)


def _say_opportunities(found: opportunities.Found) -> str:
    from workbench.tickets import opportunities

    assumed = f"{found.minutes:g} minutes of work a ticket are assumed where the tickets do not tell it."
    lines = [f"{found.window.first} to {found.window.last}. {assumed} {opportunities.HONEST}"]
    for one in found.kinds:
        told = f"{one.a_month:,.0f} tickets and {one.hours:,.1f} h a month"
        told += f"; likely success {opportunities.say_success(one)}; could be saved {opportunities.say_saved(one)}"
        lines.append(f"{one.name}: {told}")
    return "\n".join(lines)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In plain English.")],
    read_by: Annotated[
        str, typer.Option(metavar="MODEL", help="Let this model (its role or name) read it; else our grammar does.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Ask the current tickets; what was understood is told on standard error."""
    from workbench.tickets import report, verified
    from workbench.tickets.ask import words

    if read_by:
        from workbench.tickets import by_model
        from workbench.traces import readings

        role = readings.reader(read_by)
        by = asyncio.run(by_model.read(access.local(), question, role))
        progress(f"{by.record.model}: {by.record.cost}")
        reading = by.reading
    else:
        reading = verified.read(question).reading
    if reading.question is None:
        raise Invalid(reading.refused, remedy=reading.remedy)
    progress(f"Understood as {words(reading.question, dated=True)}.")
    told = report.answer(reading.question)
    rows = json.loads(told.frame.to_json(orient="records"))
    data = {"question": told.question.plain, "sentences": told.sentences, "rows": rows}
    emit(data, "\n".join(told.sentences), as_json=as_json)


def _conditions(texts: list[str]) -> dict[str, list[str]]:
    conditions: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f"--where {text!r} has no value.", remedy="Write it as --where topic=Refunds.")
        conditions.setdefault(name.strip(), []).append(value.strip())
    return conditions


def _say_loaded(loaded: tickets.Loaded) -> str:
    verb = "loaded" if loaded.published else "would be loaded"
    lines = [f"{counted(loaded.rows, 'ticket')} from {loaded.source} {verb} ({loaded.first} to {loaded.last})."]
    if loaded.published:
        lines.append(_say_change(loaded))
    if loaded.duplicates:
        lines.append(f"Rows that repeat a ticket_id: {loaded.duplicates:,}; the last row of each counts.")
    if loaded.rejected:
        where = f"; all of them are in {loaded.rejects_file}" if loaded.rejects_file else ""
        lines.append(f"{counted(loaded.rejected, 'row')} cannot be used{where}:")
        lines += [f"  line {reject.line}: {reject.reason}" for reject in loaded.rejects[:SHOWN]]
    if loaded.attributes:
        lines.append(f"Kept as attributes: {', '.join(loaded.attributes)}.")
    return "\n".join(lines)


def _say_change(loaded: tickets.Loaded) -> str:
    if loaded.replaced:
        return f"They took the place of all that were there; there are {loaded.total:,} tickets now."
    if not loaded.new + loaded.changed:
        return f"Nothing changed: all were there already. There are {loaded.total:,} tickets."
    told = f"{loaded.new:,} are new, {loaded.changed:,} changed, {loaded.unchanged:,} were there already"
    older = f", {loaded.older:,} were older than what was there and did not count" if loaded.older else ""
    return f"{told}{older}; there are {loaded.total:,} tickets now."


def _say_answer(answer: trends.Answer) -> str:
    metric = metrics.get(answer.metric)
    heads = [*(["period"] if answer.grain else []), *answer.by, metric.title.lower(), "counted"]
    rows = [
        [*(str(row[name]) for name in heads[:-2]), metrics.say(metric, row["value"]), f"{row['tickets']:,}"]
        for row in answer.rows
    ]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = [_line(row, widths) for row in [heads, *rows]]
    return "\n".join([f"{metric.definition} {answer.start} to {answer.end}.", *lines])


def _line(row: list[str], widths: list[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(row[:-2], widths[:-2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(row[-2:], widths[-2:], strict=True)]
    return "  ".join([*names, *numbers])
