"""Find topics in the tickets, again and again, without losing what people made of them; propose new ones; split one.

A refit keeps the number of every topic that it finds again. What people named, merged or moved stays even where it is
not found again; anything else that is not found again retires. What is new is proposed, never renamed into being.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from workbench import access, jobs
from workbench.errors import Conflict, Invalid, NotFound, Unavailable
from workbench.store.tables import TextModel, TopicRow
from workbench.tickets import assign, enrich, glossary, local, manifest, merge, source, topics
from workbench.tickets.figures import counted
from workbench.tickets.topics import Edits, Topic

if TYPE_CHECKING:
    from workbench.tickets.finding import Found, Group, Model

KIND = "find topics"
SAMPLE = 50_000
"""Topics are found in so many tickets; the others are assigned to them."""
FRESH = 28
"""Days in which a new topic shows."""
NEW = 20
"""So many tickets at least make a new topic."""
MOST_NEW = 5_000
NAMED = 3
"""So many telling terms make a name."""
PIECES = 2


@dataclass(frozen=True)
class Sampled:
    """Tickets to find topics in: ids, texts, languages."""

    ids: list[str]
    texts: list[str]
    languages: list[str]


def start(actor: access.Actor, count: int | None = None) -> str:
    """Store a job that finds topics and gives every ticket one: hand the id to `jobs.start` or `jobs.run_here`.

    `count` is how many; None lets the tickets decide. Raises Refused, NotFound, Conflict, or Invalid for few tickets.
    """
    from workbench.tickets import finding

    access.require(actor, "edit topics")
    if count is not None and not 2 <= count <= 100:
        raise Invalid("There can be 2 to 100 topics.", remedy="Choose a number between.")
    enrich.alone()
    there = sum(part.rows for part in manifest.read().parts)
    if there < finding.FEWEST:
        raise Invalid(
            f"Topics need at least {finding.FEWEST} tickets; there are {there:,}.", remedy="Load more tickets first."
        )
    return _stored(actor, {"how": "find", "count": count}, "Finding topics")


def split(actor: access.Actor, number: int, pieces: int = PIECES) -> str:
    """Store a job that splits a topic into subtopics: hand the id to `jobs.start` or `jobs.run_here`.

    Raises Refused, NotFound, Conflict, or Invalid for a topic that stands under another one or has some below it.
    """
    access.require(actor, "edit topics")
    one = topics.topic(number)
    if one.parent is not None or any(other.parent == number for other in topics.tree()):
        raise Invalid(f"“{one.name}” cannot be split: there are two levels.", remedy="Split a topic without subtopics.")
    if not 2 <= pieces <= 8:
        raise Invalid("A topic is split into 2 to 8.", remedy="Choose a number between.")
    enrich.alone()
    return _stored(actor, {"how": "split", "topic": number, "pieces": pieces}, f"Splitting “{one.name}”")


def accept(actor: access.Actor, number: int) -> str:
    """Make a proposal a topic, and store the job that assigns tickets to it. Raises Refused, NotFound or Invalid."""
    access.require(actor, "edit topics")
    one = topics.topic(number)
    if one.state != "proposed":
        raise Invalid(f"“{one.name}” is not proposed.", remedy="Choose one of the proposals.")
    enrich.alone()
    return _stored(actor, {"how": "accept", "topic": number}, f"Adding “{one.name}”")


def propose(actor: access.Actor) -> list[Topic]:
    """Look for new topics among the tickets of the last four weeks that have none; those that are proposed now.

    A group is proposed where it has at least 20 tickets that resemble each other more than by chance. Raises Refused,
    NotFound before topics were found, or Conflict where somebody else found some at the same moment.
    """
    from workbench.tickets import finding

    access.require(actor, "edit topics")
    latest = topics.newest()
    if latest is None:
        raise NotFound("No topics were found yet.", remedy="Find topics first.")
    first = _next_number()
    now, before = _without_topic()
    if len(now.ids) < finding.FEWEST:
        return topics.proposals()
    found = finding.find(
        now.texts, count=max(2, min(12, len(now.ids) // 40)), languages=_seen(now.languages), common=0.9
    )
    known = _known_proposals()
    rows: list[TopicRow] = []
    then = found.model.assign(before.texts)[0] if before.texts else np.zeros(0, dtype=np.int64)
    for place, (group, tight) in enumerate(zip(found.groups, finding.beyond_chance(found, now.texts), strict=True)):
        if not tight or group.size < NEW or known.keys() & set(group.terms[:NAMED]):
            continue
        earlier = int((then == place + 1).sum())
        row = _row(first + len(rows), group, found, now, place, "proposed", latest.number)
        row.growth = round(group.size / earlier, 2) if earlier else None
        row.vector = _vector(found.model, place)
        rows.append(row)
    if rows:
        model = topics.newest()
        assert model is not None  # noqa: S101
        again = TextModel(
            kind="proposals", number=1 + _numbered("proposals"), tickets=len(now.ids), figures={"groups": len(rows)},
            made_by=actor.name,
        )  # fmt: skip
        topics.store_rows(actor, rows, {}, again, what=f"proposed {counted(len(rows), 'new topic')}")
    return topics.proposals()


def _stored(actor: access.Actor, arguments: dict[str, Any], title: str) -> str:
    number = 1 + _numbered(topics.KIND)
    wanted = {"topic": f"local:topics-{number}"}
    total = sum(rows for _, rows in enrich.pending(wanted))
    return enrich.store_job(actor, KIND, title, {**arguments, "wanted": wanted, "number": number}, total)


def _numbered(kind: str) -> int:
    latest = topics.newest(kind)
    return latest.number if latest else 0


def _plan(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"do": "fit"}, *enrich.shards(dict(arguments["wanted"]))]


def _work(job_id: str, arguments: dict[str, Any], shard: dict[str, Any]) -> int:
    if shard["do"] != "fit":
        return enrich.do(job_id, arguments, shard)
    if topics.made_by_job(topics.KIND, job_id) is None:
        name, role = arguments["actor"]
        actor, number = access.Actor(name, role), int(arguments["number"])
        if _numbered(topics.KIND) >= number:
            raise Conflict("Other topics were found meanwhile.", remedy="Look at them, and start again.")
        if arguments["how"] == "find":
            _find(actor, job_id, number, arguments["count"])
        elif arguments["how"] == "split":
            _split(actor, job_id, number, arguments["topic"], arguments["pieces"])
        else:
            _accept(actor, job_id, number, arguments["topic"])
    return 0


def _find(actor: access.Actor, job_id: str, number: int, count: int | None) -> None:
    from workbench.tickets import finding
    from workbench.tickets.finding import Model

    sample = _sampled("true", SAMPLE)
    found = finding.find(sample.texts, count=count, languages=_seen(sample.languages))
    latest = topics.newest()
    old = _before(latest)
    same = finding.match(old, found, sample.texts)
    if latest is not None:
        same |= _proposed_before(found, same)
    first = _next_number()
    fresh = itertools.count(first)
    leaves = tuple(same[place] if place in same else next(fresh) for place in range(len(found.groups)))
    state = "live" if latest is None else "proposed"
    rows = [
        _row(leaves[place], group, found, sample, place, state, number)
        for place, group in enumerate(found.groups)
        if place not in same
    ]
    edits: Edits = {}
    for place, leaf in same.items():
        group = found.groups[place]
        edits[leaf] = {"terms": list(group.terms), "examples": [sample.ids[at] for at in group.examples],
                       "tickets": group.size, "model": number}  # fmt: skip
    lost = [leaf for leaf in old.leaves if leaf not in same.values()]
    owned = _owned(topics.every())
    edits |= {leaf: {"state": "retired"} for leaf in lost if leaf not in owned}
    model = Model(found.model.words, found.model.idf, found.model.centroids, leaves, found.model.least)
    if kept := [leaf for leaf in lost if leaf in owned]:
        only = [old.leaves.index(leaf) for leaf in kept]
        model = finding.joined(model, Model(old.words, old.idf, old.centroids[only], tuple(kept), old.least))
    if latest is None:
        _join_languages(rows, found, leaves)
    figures = {
        "topics": len(found.groups), "again": len(same), "new": len(rows), "retired": len(lost) - len(kept),
        "least": round(model.least, 3), "words": len(model.words),
    }  # fmt: skip
    _kept(actor, job_id, number, model, rows, edits, len(sample.ids), figures, "found topics")


def _before(latest: TextModel | None) -> Model:
    """The model so far. Where its file is gone, the topics are known by their telling terms, which the database has."""
    from workbench.tickets import finding
    from workbench.tickets.finding import Model

    try:
        if latest is not None:
            return local.topic_model(latest.number)
        known = []
    except Unavailable:
        known = [one for one in topics.every() if one.state == "live" and one.terms]
    words = tuple(dict.fromkeys(term for one in known for term in one.terms))
    place = {word: at for at, word in enumerate(words)}
    centroids = np.zeros((len(known), len(words)), dtype=np.float32)
    for row, one in enumerate(known):
        centroids[row, [place[term] for term in one.terms]] = 1 / np.sqrt(len(set(one.terms)))
    leaves = tuple(one.number for one in known)
    return Model(words, np.ones(len(words), dtype=np.float32), centroids, leaves, finding.LEAST)


def _split(actor: access.Actor, job_id: str, number: int, which: int, pieces: int) -> None:
    from workbench.tickets import finding

    one = topics.topic(which)
    base = local.topic_model(number - 1)
    mine = topics.members(which)
    sample = _sampled(f"enriched_topic IN ({', '.join(map(str, mine))})", SAMPLE)
    found = finding.find(sample.texts, count=pieces, languages=_seen(sample.languages), common=0.7, fewest=NEW)
    if len(found.groups) < 2:
        raise Invalid(f"“{one.name}” does not fall apart into {pieces}.", remedy="Its tickets are all alike.")
    first = _next_number()
    leaves = tuple(range(first, first + len(found.groups)))
    model = finding.parted(base, found, sample.texts, leaves, without=mine)
    rows = [
        _row(leaf, group, found, sample, place, "live", number)
        for place, (leaf, group) in enumerate(zip(leaves, found.groups, strict=True))
    ]
    for row in rows:
        row.parent = which
    figures = {"topics": len(model.leaves), "only": mine, "among": list(leaves), "least": round(model.least, 3)}
    _kept(actor, job_id, number, model, rows, {}, len(sample.ids), figures, f"split “{one.name}”", listed=True)


def _accept(actor: access.Actor, job_id: str, number: int, which: int) -> None:
    from workbench.tickets import finding

    one = topics.topic(which)
    base = local.topic_model(number - 1)
    model = base if which in base.leaves else finding.joined(base, _from_vector(which))
    taken = {other.name.casefold() for other in topics.every() if other.seen}
    name = one.name if one.name.casefold() not in taken else f"{one.name[: topics.LONGEST - 8]} {which}"
    edits: Edits = {which: {"state": "live", "named_by": actor.name, "name": name}}
    figures = {"topics": len(model.leaves), "only": [0], "least": round(model.least, 3)}
    _kept(actor, job_id, number, model, [], edits, one.tickets, figures, f"accepted “{one.name}”", listed=True)


def _kept(
    actor: access.Actor, job_id: str, number: int, model: Model, rows: Sequence[TopicRow], edits: Edits,
    tickets: int, figures: dict[str, Any], what: str, *, listed: bool = False,
) -> None:  # fmt: skip
    """Keep a model: its file first, which nothing names yet, then everything else at once."""
    from workbench.tickets import finding

    finding.save(model, topics.file(topics.KIND, number))
    row = TextModel(
        kind=topics.KIND, number=number, job_id=job_id, tickets=tickets, figures=figures, made_by=actor.name
    )
    topics.store_rows(actor, rows, edits, row, what=what, listed=listed)


def _owned(known: Sequence[Topic]) -> set[int]:
    """The topics that people named, accepted, merged or moved, or put others or tickets into or under."""
    touched = {one.number for one in known if one.named_by or one.parent is not None or one.into is not None}
    given = {number for number, _ in assign.by_people().values() if number}
    return touched | given | {other for one in known for other in (one.into, one.parent) if other is not None}


def _join_languages(rows: Sequence[TopicRow], found: Found, leaves: Sequence[int]) -> None:
    """Topics in different languages become one where the small dictionary says that they are about the same."""
    by_leaf = {row.number: row for row in rows}
    profiles = glossary.profiles(found.model.words, found.model.centroids)
    for place, other in glossary.pairs(profiles, [by_leaf[leaf].language for leaf in leaves]):
        by_leaf[leaves[place]].into = leaves[other]


def _row(number: int, group: Group, found: Found, sample: Sampled, place: int, state: str, model: int) -> TopicRow:
    spoken = Counter(np.array(sample.languages, dtype=object)[found.labels == place].tolist()).most_common(1)
    return TopicRow(
        number=number,
        name=_called(group.terms, number),
        state=state,
        language=str(spoken[0][0]) if spoken else "",
        terms=list(group.terms),
        examples=[sample.ids[at] for at in group.examples],
        tickets=group.size,
        model=model,
    )


def _called(terms: Sequence[str], number: int) -> str:
    """A name of the most telling terms: as few more of them as make it another name than all there are."""
    taken = {one.name.casefold() for one in topics.every()}
    for count in range(NAMED, len(terms) + 1):
        name = ", ".join(terms[:count])[: topics.LONGEST]
        if name.casefold() not in taken:
            return name[:1].upper() + name[1:]
    return f"{', '.join(terms[:NAMED])} {number}".strip().capitalize() if terms else f"Topic {number}"


def _sampled(where: str, limit: int) -> Sampled:
    """Tickets with words, the same ones each time, and what language each is in."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            f"SELECT ticket_id, concat_ws('\n', subject, body), coalesce(language, enriched_language, '') "
            f"FROM ({merge.relation(manifest.read().parts, added=True)}) "
            f"WHERE ({where}) AND length(concat(subject, body)) > 2 ORDER BY hash(ticket_id), ticket_id LIMIT {limit}"
        ).fetchall()
    ids, texts, spoken = ([str(row[at]) for row in rows] for at in range(3))
    return Sampled(ids, texts, _told(texts, spoken))


def _without_topic() -> tuple[Sampled, Sampled]:
    """The tickets without a topic of the last four weeks, and of the four weeks before."""
    last = source.records("SELECT max(created_at) AS last FROM ticket")[0]["last"]
    edges = [last - dt.timedelta(days=days) for days in (0, FRESH, 2 * FRESH)]
    made = [
        _sampled(
            f"enriched_topic = 0 AND created_at > TIMESTAMP '{start}' AND created_at <= TIMESTAMP '{end}'", MOST_NEW
        )
        for end, start in itertools.pairwise(edges)
    ]
    return made[0], made[1]


def _told(texts: list[str], languages: list[str]) -> list[str]:
    """The language of each text: as told, or read in the first thousand that nothing is told of."""
    unknown = [at for at, one in enumerate(languages) if not one][:1000]
    found = local.languages([texts[at] for at in unknown])
    made = list(languages)
    for at, one in zip(unknown, found, strict=True):
        made[at] = one or ""
    return made


def _seen(languages: Sequence[str]) -> list[str]:
    """The languages of at least one in a hundred tickets."""
    counted = Counter(one[:2].lower() for one in languages if one)
    return sorted(one for one, count in counted.items() if count * 100 >= len(languages)) or ["en"]


def _next_number() -> int:
    return 1 + max((one.number for one in topics.every()), default=0)


def _known_proposals() -> dict[str, int]:
    """The most telling terms of what was proposed or declined before, which is not proposed twice, and its number."""
    return {
        term: one.number for one in topics.every() if one.state in ("proposed", "removed") for term in one.terms[:1]
    }


def _proposed_before(found: Found, same: Mapping[int, int]) -> dict[int, int]:
    """The groups that are none of the topics so far, but were proposed or declined before, each with its number of then."""
    known, made = _known_proposals(), dict[int, int]()
    for place, group in enumerate(found.groups):
        again = [known[term] for term in group.terms[:NAMED] if term in known]
        free = [number for number in again if number not in same.values() and number not in made.values()]
        if place not in same and free:
            made[place] = free[0]
    return made


def _vector(model: Model, place: int) -> dict[str, Any]:
    strongest = np.argsort(-model.centroids[place], kind="stable")[:300]
    return {
        model.words[at]: [round(float(model.centroids[place][at]), 5), round(float(model.idf[at]), 5)]
        for at in strongest
        if model.centroids[place][at] > 0
    }


def _from_vector(number: int) -> Model:
    from workbench import store
    from workbench.tickets import finding
    from workbench.tickets.finding import Model

    with store.session() as session:
        row = session.get(TopicRow, number)
        kept = dict(row.vector) if row else {}
    words = tuple(kept)
    values = np.array([kept[word] for word in words], dtype=np.float32).reshape(len(words), 2)
    return Model(words, values[:, 1], values[:, 0][None, :], (number,), finding.LEAST)


jobs.kind(KIND, _plan, _work, verb="edit topics", ended=enrich.clear)
