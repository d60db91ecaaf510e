"""Enrichment: language, sentiment, topic and masked personal data for tickets, found on this machine, batch by batch.

Only what the help desk left open is filled. A batch is a file of answers beside the tickets; when all batches of a month
are there, the month is published anew, all at once. A job that was killed keeps its finished batches and months.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
from sqlmodel import Session, col, select

from workbench import access, jobs, settings, store
from workbench.errors import Conflict, Invalid, NotFound
from workbench.runtime import redaction
from workbench.store.tables import Job
from workbench.tickets import manifest, merge, publish, topics
from workbench.tickets.columns import ENRICHED, REQUIRED
from workbench.tickets.manifest import FILE, Manifest, Part
from workbench.traces import masking

if TYPE_CHECKING:
    from workbench.tickets.asked import Estimate

KIND = "enrich tickets"
BATCH = 10_000
TOGETHER = 50_000
"""Months of so many tickets together are published at once."""
EVERY = "*/10 * * * *"
SCHEDULE = "look at new tickets"
PAUSE = dt.timedelta(days=1)
"""After so long the schedule tries again what failed, where nothing has changed."""
CLOCK = access.Actor("schedule", "admin")
KINDS = {
    "language": "Language",
    "sentiment": "Sentiment",
    "topic": "Topic",
    "masked": "Masked personal data",
}
"""What can be found in a ticket's words, and how it is called."""

HOW = {"language": "language_how", "sentiment": "sentiment_how", "topic": "topic_how", "masked": "masked_how"}
OPEN = {"language": "language IS NULL", "sentiment": "sentiment IS NULL", "topic": "true", "masked": "true"}
"""Which tickets a kind is found for: those whose help desk said nothing, where what is found takes its place."""

Wanted = dict[str, str]
"""What shall be found, and by what: `{"language": "local:langid-1"}`."""


@dataclass(frozen=True)
class State:
    """How far a kind has come: tickets with a value by the file, by us, and those still to be done."""

    kind: str
    file: int
    found: int
    pending: int


def by_hand(kinds: Sequence[str]) -> Wanted:
    """What finds these kinds now, on this machine. Raises Invalid for a kind that is not known, or without topics."""
    wanted: Wanted = {}
    for kind in kinds:
        if kind not in KINDS:
            raise Invalid(f"Nothing is known of {kind!r}.", remedy=f"Choose among {', '.join(KINDS)}.")
        if kind == "topic":
            model = topics.newest()
            if model is None:
                raise Invalid("No topics were found yet.", remedy="Find topics first.")
            wanted[kind] = f"local:topics-{model.number}"
        elif kind == "masked":
            rules = masking.rules()
            wanted[kind] = f"local:masked-{_digest(rules)}"
        elif kind == "language":
            wanted[kind] = "local:language-1"
        else:
            latest = topics.newest("sentiment")
            wanted[kind] = f"local:sentiment-{latest.number if latest else 0}"
    return wanted


def _digest(rules: redaction.Rules) -> str:
    told = [sorted(rules.kinds), sorted(rules.names), sorted((name, made.pattern) for name, made in rules.patterns)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:8]


def states() -> list[State]:
    """How far each kind has come. Raises NotFound where there are no tickets."""
    known = topics.newest() is not None
    wanted = by_hand([kind for kind in KINDS if known or kind != "topic"])
    made = []
    with duckdb.connect(":memory:") as connection:
        there = merge.relation(manifest.read().parts, added=True)
        for kind, token in wanted.items():
            value = {"masked": "masked_subject, masked_body", "topic": "nullif(enriched_topic, 0)"}
            found = value.get(kind, f"enriched_{kind}")
            given = f"{kind} IS NOT NULL" if kind in ("language", "sentiment") else "false"
            row = connection.execute(
                f"SELECT count(*) FILTER ({given}), count(*) FILTER (coalesce({found}) IS NOT NULL AND NOT ({given})), "
                f"count(*) FILTER ({_due({kind: token})}) FROM ({there})"
            ).fetchall()[0]
            made.append(State(kind, *map(int, row)))
    return made


def by_model(kinds: Sequence[str]) -> Wanted:
    """The same by the model that is connected, which may be asked for a topic again once other topics were found.

    Raises Invalid where there is none, or it cannot find a kind.
    """
    from workbench.tickets import asked

    name = asked.model()
    found = by_hand([kind for kind in kinds if kind == "topic"])
    if other := [kind for kind in kinds if kind not in asked.KINDS]:
        raise Invalid(f"{KINDS.get(other[0], other[0])} is found on this machine only.", remedy="Leave it out here.")
    return {kind: f"model:{name}" + found.get(kind, "").replace("local:", " ") for kind in kinds}


def estimate(kinds: Sequence[str]) -> Estimate:
    """What it would take to let the model find these kinds. Raises Invalid where there is none, NotFound without tickets."""
    from workbench.tickets import asked

    wanted = by_model(kinds)
    letters = f"least({asked.READ}, length(coalesce(subject, '')) + length(coalesce(body, '')))"
    there = merge.relation(manifest.read().parts, added=True)
    with duckdb.connect(":memory:") as connection:
        row = connection.execute(
            f"SELECT count(*), coalesce(sum({letters}), 0)::BIGINT FROM ({there}) WHERE {_due(wanted)}"
        ).fetchall()[0]
    return asked.estimate(int(row[0]), int(row[1]))


def create(actor: access.Actor, kinds: Sequence[str], *, model: bool = False) -> str:
    """Store a job that finds these kinds, here or by the connected model: hand the id to `jobs.start` or `jobs.run_here`.

    Raises Refused, Invalid where one cannot be found and why, NotFound without tickets, Conflict while another one runs.
    """
    from workbench.tickets import sentiment

    access.require(actor, "enrich tickets")
    chosen = [kind for kind in KINDS if kind in kinds]
    if not kinds:
        raise Invalid("Nothing was chosen to be found.", remedy=f"Choose among {', '.join(KINDS)}.")
    asked_for = [*chosen, *(kind for kind in kinds if kind not in KINDS)]
    wanted = by_model(asked_for) if model else by_hand(asked_for)
    alone()
    if "sentiment" in wanted and not model:
        sentiment.require_ratings()
        wanted["sentiment"] = f"local:sentiment-{sentiment.number_now()}"
    total = sum(rows for _, rows in pending(wanted))
    if model and not total:
        raise Invalid("Nothing is left for this model to find.", remedy="Load tickets, or find other topics first.")
    title = "Finding " + ", ".join(KINDS[kind].lower() for kind in chosen)
    return store_job(actor, KIND, title, {"wanted": wanted}, total)


def due() -> list[str]:
    """What the schedule does: store a job for tickets that came since, of every kind that was found here before.

    Nothing where nothing is open, something is being found already, or the same failed within a day.
    """
    if not manifest.exists() or not (kinds := _found_before(manifest.read())):
        return []
    wanted = by_hand(kinds)
    total = sum(rows for _, rows in pending(wanted))
    if not total or _failed_before(wanted, total):
        return []
    try:
        return [store_job(CLOCK, KIND, f"Looking at {total:,} new tickets", {"wanted": wanted}, total)]
    except Conflict:
        return []


def _found_before(there: Manifest) -> list[str]:
    """The kinds that were found on this machine in the tickets there are, or masked in those that made way for them."""
    found = [there.masked and kind == "masked" for kind in HOW]
    if parts := [part for part in there.parts if part.enriched]:
        counts = ", ".join(f"count(*) FILTER ({how} LIKE 'local:%')" for how in HOW.values())
        with duckdb.connect(":memory:") as connection:
            row = connection.execute(f"SELECT {counts} FROM ({merge.relation(parts, added=True)})").fetchall()[0]
        found = [bool(one or count) for one, count in zip(found, row, strict=True)]
    return [kind for kind, one in zip(HOW, found, strict=True) if one]


def _failed_before(wanted: Wanted, total: int) -> bool:
    """Whether the schedule's last job was for the same, and failed within a day."""
    mine = select(Job).where(col(Job.kind) == KIND, col(Job.started_by) == CLOCK.name)
    with store.session() as session:
        last = session.exec(mine.order_by(col(Job.created_at).desc()).limit(1)).first()
        return (
            last is not None
            and (last.state, last.total, last.arguments["wanted"]) == ("failed", total, wanted)
            and store.now() - last.created_at < PAUSE
        )


def store_job(actor: access.Actor, kind: str, title: str, arguments: dict[str, Any], total: int) -> str:
    """Store a job with who started it; its id. Raises Conflict where another one was stored at the same moment."""
    with store.session() as session:
        access.audit.lock(session)
        _alone(session)
        row = jobs.row(kind, title, {**arguments, "actor": [actor.name, actor.role]}, actor, total=total)
        session.add(row)
        access.audit.append(session, actor, "enrich tickets", title, {"job": row.id, **arguments})
        return row.id


def alone() -> None:
    """Raise Conflict while another job finds something in the tickets."""
    with store.session() as session:
        _alone(session)


def _alone(session: Session) -> None:
    busy = session.exec(
        select(Job).where(col(Job.kind).in_((KIND, "find topics")), col(Job.state).in_(("waiting", "running")))
    )
    if (other := busy.first()) is not None:
        raise Conflict(f"“{other.title}” is under way.", remedy="Wait until it is done, or cancel it.")


def pending(wanted: Wanted, parts: Sequence[Part] | None = None) -> list[tuple[Part, int]]:
    """The parts with tickets that are still to be done, and how many there are in each. Raises NotFound."""
    found = []
    with duckdb.connect(":memory:") as connection:
        for part in manifest.read().parts if parts is None else parts:
            sql = f"SELECT count(*) FROM ({merge.relation([part], added=True)}) WHERE {_due(wanted)}"
            if rows := int(connection.execute(sql).fetchall()[0][0]):
                found.append((part, rows))
    return found


def shards(wanted: Wanted, *, since: int = 0) -> list[dict[str, Any]]:
    """The batches of each part that is not done, and after some months of them their publication; `upto` counts tickets,
    from `since`."""
    made: list[dict[str, Any]] = []
    held, waiting = 0, list[Part]()
    todo = pending(wanted)
    for number, (part, rows) in enumerate(todo, 1):
        size = merge.rows_of(part)
        for start in range(0, size, BATCH):
            share = rows * min(size, start + BATCH) // size
            made.append({"do": "batch", "file": part.file, "from": start, "upto": since + share})
        since, held = since + rows, held + size
        waiting.append(part)
        last = number == len(todo)
        if last or (held >= TOGETHER and todo[number][0].month != part.month):  # a month may have several parts
            files, months = [one.file for one in waiting], [one.month for one in waiting]
            made.append({"do": "publish", "files": files, "months": months, "upto": since})
            held, waiting = 0, []
    return made


def do(job_id: str, arguments: Named[str, Any], shard: Named[str, Any]) -> int:
    """One shard; how many tickets are done up to its end."""
    name, role = arguments["actor"]
    wanted: Wanted = dict(arguments["wanted"])
    if shard["do"] == "batch":
        _batch(job_id, wanted, shard["file"], shard["from"])
    else:
        _publish(access.Actor(name, role), job_id, wanted, shard)
    return int(shard["upto"])


def _plan(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = dict(arguments["wanted"])
    first = [{"do": "sentiment"}] if wanted.get("sentiment", "").startswith("local:") else []
    return [*first, *shards(wanted)]


def _work(job_id: str, arguments: dict[str, Any], shard: dict[str, Any]) -> int:
    if shard["do"] == "sentiment":
        from workbench.tickets import sentiment

        name, role = arguments["actor"]
        sentiment.make(access.Actor(name, role), job_id, int(arguments["wanted"]["sentiment"].rpartition("-")[2]))
        return 0
    return do(job_id, arguments, shard)


def _due(wanted: Wanted) -> str:
    """SQL: whether a ticket is still to be done. What a model or a person said is not found again on this machine."""
    parts = []
    for kind, plain in wanted.items():
        how, token = HOW[kind], plain.replace("'", "''")
        other = f"{how} <> '{token}' AND {how} NOT LIKE 'person:%'"
        stale = f"{how} LIKE 'local:%' AND {other}" if token.startswith("local:") else other
        parts.append(f"(({OPEN[kind]}) AND ({how} IS NULL OR ({stale})))")
    return " OR ".join(parts) or "false"


def folder(job_id: str) -> Path:
    """Where the batches of a job wait until their month is published."""
    return settings.load().local / "enrichment" / job_id


def _batch(job_id: str, wanted: Wanted, file: str, start: int) -> None:
    """The answers for some rows of a part, as a file; nothing where it is there, or the part was replaced meanwhile."""
    target = folder(job_id) / f"{Path(file).stem}-{start:09}.parquet"
    part = next((one for one in manifest.read().parts if one.file == file), None)
    if target.is_file() or part is None:
        return
    with duckdb.connect(":memory:") as connection:
        frame = _rows(connection, part, start, wanted)
        if frame.empty:
            return
        answered = _answers(frame, wanted, job_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        connection.register("answered", answered)
        columns = ", ".join(f"{name}::{kind} AS {name}" for name, kind in {"row": "BIGINT", **ENRICHED}.items())
        connection.execute(f"COPY (SELECT {columns} FROM answered) TO '{merge.escaped(temporary)}' (FORMAT parquet)")
        temporary.replace(target)


def _rows(connection: duckdb.DuckDBPyConnection, part: Part, start: int, wanted: Wanted) -> pd.DataFrame:
    path = merge.escaped(manifest.folder() / part.file)
    added = ", ".join(ENRICHED) if part.enriched else ", ".join(f"NULL::{k} AS {n}" for n, k in ENRICHED.items())
    return connection.execute(
        f"SELECT * FROM (SELECT file_row_number AS row, ticket_id, language, sentiment, topic, "
        f"coalesce(subject, '') AS subject, coalesce(body, '') AS body, {added} "
        f"FROM read_parquet('{path}', file_row_number=true)) "
        f"WHERE row >= {start} AND row < {start + BATCH} AND ({_due(wanted)}) ORDER BY row"
    ).df()


def _answers(frame: pd.DataFrame, wanted: Wanted, job_id: str) -> pd.DataFrame:
    from workbench.tickets import asked, local

    made = frame.copy()
    by_model: dict[str, pd.Series[bool]] = {}
    for kind, token in wanted.items():
        how = made[HOW[kind]].astype("object").fillna("").astype(str)
        stale = how.str.startswith("local:") if token.startswith("local:") else ~how.str.startswith("person:")
        due = (how == "") | ((how != token) & stale)
        if kind in ("language", "sentiment"):
            due &= made[kind].isna()
        if token.startswith("local:"):
            local.fill(made, due, kind, token)
        else:
            by_model[kind] = due
    if by_model:
        asked.fill(made, by_model, wanted, job_id)
    if "topic" in wanted:
        _as_people_say(made)
    return made[["row", *ENRICHED]]


def _as_people_say(frame: pd.DataFrame) -> None:
    """Tickets whose topic a person has set keep it, however often their words or their file change."""
    from workbench.tickets import assign

    said = assign.by_people()
    for index in frame.index[frame["ticket_id"].isin(list(said))]:
        topic, how = said[str(frame.loc[index, "ticket_id"])]
        frame.loc[index, ["enriched_topic", "topic_how"]] = [topic, how]


def _publish(actor: access.Actor, job_id: str, wanted: Wanted, shard: Named[str, Any]) -> None:
    """Put months anew with what their batches found. A month that was loaded meanwhile is done again as it is now."""
    for _ in range(3):
        parts = [one for one in manifest.read().parts if one.month in shard["months"]]
        due = pending(wanted, parts)
        if not due:
            break
        for part, _rows_due in due:
            for start in range(0, merge.rows_of(part), BATCH):
                _batch(job_id, wanted, part.file, start)
        if _put(actor, job_id, wanted, [part for part, _ in due]):
            break
    else:
        raise Conflict("These tickets are being loaded again and again.", remedy="Start again when the loads are done.")
    for file in shard["files"]:
        for path in folder(job_id).glob(f"{Path(file).stem}-*.parquet"):
            path.unlink(missing_ok=True)
    if folder(job_id).is_dir() and not any(folder(job_id).iterdir()):
        shutil.rmtree(folder(job_id), ignore_errors=True)


def _put(actor: access.Actor, job_id: str, wanted: Wanted, due: Sequence[Part]) -> bool:
    """Publish parts with their answers; False where one of them was replaced meanwhile."""
    with publish.staging() as place:
        made = {part.file: rewritten(part, _answered(part, job_id), place) for part in due}
        with publish.writing():
            before = manifest.read()
            if not set(made) <= {part.file for part in before.parts}:
                return False
            parts = tuple(made.get(part.file, part) for part in before.parts)
            files = [place / part.file for part in made.values()]
            files += merge.rolled_up(place, made.values(), before.rows)
            hide = not masking.rules().off if "masked" in wanted else before.masked
            new = replace(before, generation=before.generation + 1, parts=parts, masked=hide)
            if any(part.file == FILE for part in before.parts):
                raise NotFound("These tickets are from an early version.", remedy="Load them again first.")
            rows = sum(part.rows for part in made.values())
            detail: dict[str, object] = {"job": job_id, "found": dict(wanted), "tickets": rows}
            publish.put(
                actor,
                new,
                files,
                verb="enrich tickets",
                thing=", ".join(dict.fromkeys(p.month for p in due)),
                detail=detail,
            )
    return True


def _answered(part: Part, job_id: str) -> list[Path]:
    return sorted(folder(job_id).glob(f"{Path(part.file).stem}-*.parquet"))


def rewritten(part: Part, answers: Sequence[Path], place: Path) -> Part:
    """The part with the answers in files, in the same order, as a new file. Raises Invalid where rows are missing."""
    target = place / manifest.unused(part.month)
    written = f"'{merge.escaped(target)}'"
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute(f"SET memory_limit = '{merge.MEMORY}'")
        connection.execute(f"COPY ({_joined(part, answers)}) TO {written} (FORMAT parquet, COMPRESSION zstd)")
        rows = connection.execute(f"SELECT count(*) FROM read_parquet({written})").fetchall()[0][0]
    if rows != part.rows:
        raise Invalid(
            f"{part.month} has {part.rows:,} tickets, and {rows:,} came of it.", remedy="Nothing was changed."
        )
    return replace(part, file=target.name, enriched=True)


def _joined(part: Part, answers: Sequence[Path]) -> str:
    """SELECT of a part's rows, each with the answer for it, or with what it had."""
    listed = "[" + ", ".join(f"'{merge.escaped(path)}'" for path in answers) + "]"
    columns = [f"old.{one}" for one in merge.COLUMNS.split(", ")]
    for column, kind in ENRICHED.items():
        kept = f"old.{column}" if part.enriched else f"NULL::{kind}"
        columns.append(f"CASE WHEN found.row IS NULL THEN {kept} ELSE found.{column} END AS {column}")
    there = f"read_parquet('{merge.escaped(manifest.folder() / part.file)}', file_row_number=true)"
    return (
        f"SELECT {', '.join(columns)} FROM {there} AS old "
        f"LEFT JOIN (SELECT DISTINCT ON (row) * FROM read_parquet({listed})) AS found ON old.file_row_number = found.row "
        f"ORDER BY {', '.join(f'old.{one}' for one in reversed(REQUIRED))}"
    )


def clear(job_id: str) -> None:
    """Take away the batches of a job that has ended: they hold words of tickets."""
    shutil.rmtree(folder(job_id), ignore_errors=True)


jobs.kind(KIND, _plan, _work, verb="enrich tickets", ended=clear)
jobs.schedule(SCHEDULE, EVERY, due)
