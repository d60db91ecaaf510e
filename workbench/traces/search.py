"""Finding runs among a million: a page of those that fit, the pages beside it, and how they divide."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from workbench.store import index, now, session
from workbench.store.tables import FactName, Run, RunIndex
from workbench.traces import masking
from workbench.traces.filters import TERMS, Filters, Score, length

COUNTED = 10_000
"""So many of the newest runs that fit are counted; where more fit, that is said."""
NEAR = 20_000
"""Runs that PostgreSQL looks at one after the other before it asks the index."""
FAR = 400_000
"""Runs that it looks at so at most, for what stands in the texts, where that is found among the nearest ones."""
LONGEST = 40
"""Words that are looked for at most."""

INDEX, RUNS, NAMES = RunIndex.__table__, Run.__table__, FactName.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Row:
    """A run as the list shows it, with its place in time."""

    seq: int
    run: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Runs that fit, the newest first. `older` and `newer` are where the pages beside it begin; 0 where there is none."""

    rows: tuple[Row, ...]
    older: int = 0
    newer: int = 0


@dataclass(frozen=True)
class Counts:
    """How the newest runs that fit divide: `counted` of them, `all` where no more fit.

    `values` holds for each filter its values with how many runs have them, the most frequent first, counted without
    that filter itself; `days` how many began when and ended how.
    """

    counted: int
    all: bool
    values: Mapping[str, tuple[tuple[str, int], ...]]
    moments: tuple[tuple[dt.datetime, str], ...]


@dataclass(frozen=True)
class _Query:
    """A filter as the index is asked: every one of `every`, one of each of `any`, none of `none`, and exact conditions.

    Of `about`, each is a word that is said, or one of some terms. `literal` are conditions on the texts themselves.
    """

    every: tuple[int, ...] = ()
    any: tuple[tuple[int, ...], ...] = ()
    none: tuple[int, ...] = ()
    words: tuple[tuple[str, bool], ...] = ()
    about: tuple[tuple[str, tuple[int, ...]], ...] = ()
    exact: tuple[str, ...] = ()
    literal: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None
    low: int = 0
    high: int = 1 << 62
    rare: bool = False

    @property
    def looks(self) -> bool:
        """Whether the index of terms has to be asked at all."""
        return bool(self.every or self.any or self.none or self.words or self.about)


def page(filters: Filters, *, after: int = 0, before: int = 0, limit: int = 50, without: Sequence[str] = ()) -> Page:
    """The newest runs that fit; with `after`, those older than that place, with `before`, the nearest newer ones.

    Runs of the sources `without` are left out.
    """
    with session() as open_session:
        connection = open_session.connection()
        asked = _query(connection, filters, without)
        found = _places(connection, asked, limit + 1, older_than=after, newer_than=before)
        more, found = len(found) > limit, found[:limit]
        rows = _rows(connection, found)
    if not rows:
        return Page(())
    return Page(
        tuple(rows),
        older=rows[-1].seq if more or before else 0,
        newer=rows[0].seq if after or (before and more) else 0,
    )


def counts(filters: Filters, kinds: Sequence[str]) -> Counts:
    """How the runs that fit divide by these filters, over the newest 10,000 of them."""
    with session() as open_session:
        connection = open_session.connection()
        found = _sample(connection, filters)
        names = _names(connection, kinds)
        whole = _counted(found, names, kinds)
        for kind in kinds:
            if filters.address().get(kind):
                wider = _sample(connection, filters.without(kind))
                whole[kind] = _counted(wider, names, [kind])[kind]
        outcomes = {one: value for one, (kind, value) in names.items() if kind == "outcome"}
    moments = tuple(
        (index.moment(seq), next((name for one, name in outcomes.items() if one in facts), "")) for seq, facts in found
    )
    return Counts(len(found), len(found) < COUNTED, whole, moments)


def known() -> dict[str, list[str]]:
    """For each filter every value that a run ever had, and the evaluators under `score`, in order."""
    with session() as open_session:
        asked = select(NAMES.c.kind, NAMES.c.value).order_by(NAMES.c.value)
        rows = open_session.connection().execute(asked).all()
    kinds = {**TERMS, "score": "score"}
    return {name: [row.value for row in rows if row.kind == kind] for name, kind in kinds.items()}


def every(filters: Filters, most: int) -> Iterator[Mapping[str, Any]]:
    """The newest runs that fit, at most so many, for a file."""
    after, left = 0, most
    while left > 0:
        found = page(filters, after=after, limit=min(left, 1000))
        yield from (one.run for one in found.rows)
        left -= len(found.rows)
        if not found.older or not found.rows:
            return
        after = found.older


# ---- from filters to terms -------------------------------------------------------------------------------------------


def _query(connection: Connection, filters: Filters, without: Sequence[str] = ()) -> _Query:
    asked: list[tuple[int, ...]] = []
    exact: list[str] = []
    given: dict[str, Any] = {}
    for name, kind in TERMS.items():
        if chosen := getattr(filters, name):
            asked.append(tuple(index.number((kind, value)) for value in chosen))
    if filters.flagged and not filters.flagged_by:
        asked.append(_all_of(connection, "flagged"))
    if filters.customer:
        known = {filters.customer, masking.known_as(filters.customer)}
        asked.append(tuple(index.number(("conversation", one)) for one in sorted(known)))
    for kind, low, high in (
        ("seconds", filters.slower, filters.faster),
        ("usd", filters.dearer, filters.cheaper),
    ):
        if low is not None or high is not None:
            asked.append(tuple(map(index.number, index.measured_between(kind, low, high))))
            exact += [f"i.{kind} > :{kind}_low"] if low is not None else []
            exact += [f"i.{kind} < :{kind}_high"] if high is not None else []
            given |= {f"{kind}_low": low, f"{kind}_high": high}
    for number, score in enumerate(filters.score):
        asked.append(_buckets(score))
        side, value = ("<", score.below) if score.below is not None else (">", score.above)
        exact.append(
            f"exists (select 1 from run_score s where s.run_id = i.run_id and s.evaluator = :e{number}"
            f" and s.value {side} :v{number})"
        )
        given |= {f"e{number}": score.evaluator, f"v{number}": value}
    words, quoted, only = _words(connection, filters.words)
    literal: list[str] = []
    for number, one in enumerate(quoted):
        compared, given[f"like{number}"] = _standing(one, sqlite=connection.dialect.name == "sqlite")
        like = compared.format(f":like{number}")
        literal.append(f"(select lower(r.question) {like} or lower(r.reply) {like} from run r where r.id = i.run_id)")
    low, high = _between(filters)
    if only:
        low, high = max(low, only), min(high, only)
    every = tuple(one[0] for one in asked if len(one) == 1)
    several = tuple(one for one in asked if len(one) != 1)
    none = tuple(index.number(("source", one)) for one in without)
    about = _about(connection, filters.about)
    if none and not (every or several or words or about):
        several = (_all_of(connection, "outcome"),)
    return _Query(
        every, several, none, words, about, tuple(exact), tuple(literal), given, low, high, rare=bool(filters.customer)
    )


def _all_of(connection: Connection, kind: str) -> tuple[int, ...]:
    """Every term of a kind; one that no run has, where there is none."""
    found = connection.execute(select(NAMES.c.term).where(NAMES.c.kind == kind)).scalars()
    return tuple(found) or (index.number((kind, "")),)


def _buckets(score: Score) -> tuple[int, ...]:
    below = score.below is not None
    steps = range(-1, index.step(score.below or 0) + 1) if below else range(index.step(score.above or 0), 21)
    return tuple(index.number(("bucket", f"{score.evaluator}\t{one}")) for one in steps)


def _between(filters: Filters) -> tuple[int, int]:
    low, high = 0, 1 << 62
    if filters.period:
        low = index.position(now() - length(filters.period))
    if filters.since:
        low = max(low, index.position(filters.since))
    if filters.until:
        high = index.position(filters.until) - 1
    return low, high


def _words(connection: Connection, asked: str) -> tuple[tuple[tuple[str, bool], ...], list[str], int]:
    """The words to look for, whether each may go on; what has to stand there as it is; the place of the run whose id it is.

    The place is 0 where the text is no run's id.
    """
    asked = asked.strip()
    if re.fullmatch(r"run_\w+", asked):
        place = connection.execute(select(INDEX.c.seq).where(INDEX.c.run_id == asked)).scalar()
        if place is not None:
            return (), [], int(place)
    found: list[tuple[str, bool]] = []
    literal: list[str] = []
    for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', asked)[:LONGEST]:
        said = index.words(quoted or bare)
        if goes_on := bare.endswith("*"):
            found += [(one, False) for one in said[:-1]] + [(one, goes_on) for one in said[-1:]]
            continue
        found += [(one, False) for one in said]
        if len(said) > 1:
            literal.append(quoted or bare)
    if asked and not found:
        found = [(index.NONE, False)]
    return tuple(dict.fromkeys(found[:LONGEST])), literal, 0


def _standing(said: str, *, sqlite: bool) -> tuple[str, str]:
    """How a lowered text is compared in which `said` stands, as SQL, and with what pattern.

    Databases know the capitals of English only, or of the language that they were set up in; so of every other letter
    both forms are looked for.
    """
    said = said.lower()
    if said.isascii():
        escaped = re.sub(r"([!%_])", r"!\1", said)
        return "like {} escape '!'", f"%{escaped}%"
    both = [one if one.isascii() or len(one.upper()) > 1 or one.upper() == one else one + one.upper() for one in said]
    if sqlite:
        return "glob {}", f"*{''.join(f'[{one}]' if len(one) > 1 or one in '*?[' else one for one in both)}*"
    return "~ {}", "".join(f"[{one}]" if len(one) > 1 else re.escape(one) for one in both)


def _about(connection: Connection, asked: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The words of a topic, each with the terms of the tools that have it in their names."""
    said = list(dict.fromkeys(word for one in asked[:LONGEST] for word in index.words(one)))[:LONGEST]
    if not said:
        return ()
    rows = connection.execute(select(NAMES.c.term, NAMES.c.value).where(NAMES.c.kind == "tool")).all()
    named = [(int(row.term), index.parts(row.value)) for row in rows]
    return tuple((word, tuple(term for term, parts in named if word in parts)) for word in said)


# ---- asking the index ------------------------------------------------------------------------------------------------


def _places(
    connection: Connection, asked: _Query, limit: int, *, older_than: int = 0, newer_than: int = 0
) -> list[int]:
    """The places of runs that fit, the newest first; with `newer_than`, the nearest first."""
    low, high = asked.low, asked.high
    if older_than:
        high = min(high, older_than - 1)
    if newer_than:
        low = max(low, newer_than + 1)
    if low > high:
        return []
    order = "asc" if newer_than else "desc"
    given = {"low": low, "high": high, "limit": limit, **(asked.given or {})}
    if connection.dialect.name == "sqlite":
        return list(connection.execute(text(_on_sqlite(asked, order)), given | _match(asked)).scalars())
    return _on_postgresql(connection, asked, order, given)


def _on_sqlite(asked: _Query, order: str) -> str:
    exact = "".join(f" and {one}" for one in (*asked.exact, *asked.literal))
    if not asked.looks:
        return f"select i.seq from run_index i where i.seq between :low and :high{exact} order by i.seq {order} limit :limit"
    joined = " cross join run_index i on i.seq = w.rowid" if exact else ""
    return (
        f"select w.rowid from run_words w{joined} where w.run_words match :match"
        f" and w.rowid >= :low and w.rowid <= :high{exact} order by w.rowid {order} limit :limit"
    )


def _match(asked: _Query) -> dict[str, str]:
    if not asked.looks:
        return {}
    groups = [*((one,) for one in asked.every), *asked.any]
    parts = [" OR ".join(map(index.token, group)) for group in groups]
    parts += [f'"{said}"{"*" if goes_on else ""}' for said, goes_on in asked.words]
    parts += [" OR ".join([f'"{word}"', *map(index.token, terms)]) for word, terms in asked.about]
    whole = " AND ".join(f"({one})" for one in parts)
    if asked.none:
        whole = f"({whole}) NOT ({' OR '.join(map(index.token, asked.none))})"
    return {"match": whole}


def _on_postgresql(connection: Connection, asked: _Query, order: str, given: dict[str, Any]) -> list[int]:
    """First the nearest runs one after the other; where too few of them fit, more, or the index of terms.

    What stands in the texts is looked up run by run: where many of the nearest fit, a longer walk is shorter than to
    look up all that have the words.
    """
    conditions, more = _conditions(asked)
    given, limit = given | more, given["limit"]
    if not conditions:
        near = f"select i.seq from run_index i where i.seq between :low and :high order by i.seq {order} limit :limit"
        return list(connection.execute(text(near), given).scalars())

    def walked(far: int) -> list[int]:
        near = f"select * from run_index where seq between :low and :high order by seq {order} limit {far}"
        fits = " and ".join((*conditions, *asked.literal))
        walk = text(f"select i.seq from ({near}) i where {fits} order by i.seq {order} limit :limit")
        return list(connection.execute(_typed(walk, given), given).scalars())

    found = [] if asked.rare else walked(NEAR)
    far = 2 * NEAR * limit // max(len(found), 1)
    if len(found) < limit and asked.literal and far <= FAR:
        found = walked(far)
    if len(found) >= limit:
        return found
    fits, literal = " and ".join(conditions), " and ".join(asked.literal) or "true"
    whole = text(
        f"with hits as materialized (select i.seq, i.run_id from run_index i where {fits} and i.seq between :low and :high)"
        f" select i.seq from (select * from hits order by seq {order} offset 0) i where {literal} limit :limit"
    )
    return list(connection.execute(_typed(whole, given), given).scalars())


def _conditions(asked: _Query) -> tuple[list[str], dict[str, Any]]:
    conditions, given = [*asked.exact], dict[str, Any]()
    if asked.every:
        conditions.append("i.facts @> :every")
        given["every"] = list(asked.every)
    for number, several in enumerate(asked.any):
        conditions.append(f"i.facts && :any{number}")
        given[f"any{number}"] = list(several)
    if asked.none:
        conditions.append("not (i.facts && :none)")
        given["none"] = list(asked.none)
    if asked.words:
        conditions.append("i.words @@ cast(:said as tsquery)")
        given["said"] = " & ".join(_looked_for(said, goes_on=goes_on) for said, goes_on in asked.words)
    for number, (word, terms) in enumerate(asked.about):
        conditions.append(f"(i.words @@ cast(:about{number} as tsquery) or i.facts && :named{number})")
        given |= {f"about{number}": _looked_for(word), f"named{number}": list(terms)}
    return conditions, given


def _looked_for(word: str, *, goes_on: bool = False) -> str:
    """A word as PostgreSQL looks for it; one that is too long for it is in no run."""
    said = word if len(word.encode()) <= index.LONGEST else index.NONE
    return f"'{said}'{':*' if goes_on else ''}"


def _typed(asked: Any, given: Mapping[str, Any]) -> Any:
    """The statement, its lists bound as lists."""
    kind = INDEX.c.facts.type
    return asked.bindparams(*(bindparam(name, type_=kind) for name, value in given.items() if isinstance(value, list)))


# ---- rows and counts -------------------------------------------------------------------------------------------------


def _rows(connection: Connection, places: Sequence[int]) -> list[Row]:
    asked = (
        select(INDEX.c.seq, *RUNS.c)
        .join(RUNS, RUNS.c.id == INDEX.c.run_id)
        .where(INDEX.c.seq.in_(_among(connection)))
        .order_by(INDEX.c.seq.desc())
    )
    names = [column.name for column in RUNS.c]
    found = connection.execute(asked, _given(connection, places))
    return [Row(row[0], dict(zip(names, row[1:], strict=True))) for row in found]


def _sample(connection: Connection, filters: Filters) -> list[tuple[int, Any]]:
    """Places and terms of the newest runs that fit, the terms as the database holds them."""
    places = _places(connection, _query(connection, filters), COUNTED)
    asked = select(INDEX.c.seq, INDEX.c.facts).where(INDEX.c.seq.in_(_among(connection)))
    found = connection.execute(asked, _given(connection, places))
    return [(seq, facts) for seq, facts in found.all()]


def _among(connection: Connection) -> Any:
    """The places that a statement is given, as a table: one statement for any number of them."""
    if connection.dialect.name == "sqlite":
        return text("select value from json_each(:places)")
    return text("select unnest(:places)").bindparams(bindparam("places", type_=INDEX.c.facts.type))


def _given(connection: Connection, places: Sequence[int]) -> dict[str, Any]:
    return {"places": json.dumps(places) if connection.dialect.name == "sqlite" else list(places)}


def _names(connection: Connection, kinds: Sequence[str]) -> dict[Any, tuple[str, str]]:
    wanted = {TERMS[kind] for kind in kinds} | {"outcome"}
    asked = select(NAMES.c.term, NAMES.c.kind, NAMES.c.value).where(NAMES.c.kind.in_(wanted))
    return {
        term.to_bytes(index.BYTES) if connection.dialect.name == "sqlite" else term: (kind, value)
        for term, kind, value in connection.execute(asked)
    }


def _counted(
    found: Sequence[tuple[int, Any]], names: Mapping[Any, tuple[str, str]], kinds: Sequence[str]
) -> dict[str, tuple[tuple[str, int], ...]]:
    several = [facts for _, facts in found]
    if several and isinstance(several[0], bytes):
        tally = Counter(one for (one,) in struct.iter_unpack(f"{index.BYTES}s", b"".join(several)))
    else:
        tally = Counter(itertools.chain.from_iterable(several))
    divided: dict[str, tuple[tuple[str, int], ...]] = {}
    for kind in kinds:
        having = [(value, tally[one]) for one, (of, value) in names.items() if of == TERMS[kind] and tally[one]]
        divided[kind] = tuple(sorted(having, key=lambda pair: (-pair[1], pair[0])))
    return divided
