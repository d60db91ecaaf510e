"""The index that runs are found by: what is so of each run as terms, its words, and a number that tells its time.

On SQLite it is a full-text table whose rows are ordered by that number; on PostgreSQL two columns under one GIN index.
A term is a kind with a value (`tool`, `find_order`), kept as a number of 48 bits, on SQLite as a word with an underscore,
which no word of a text has. The words of texts are kept folded, so that both databases find the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, text, update

from workbench.store.engine import insert_many
from workbench.store.tables import FactName, Run, RunIndex

Term = tuple[str, str]
"""A kind and a value."""

INDEX, NAMES, RUNS = RunIndex.__table__, FactName.__table__, Run.__table__  # type: ignore[attr-defined]
LISTED = frozenset(
    ("flow", "version", "outcome", "agent", "model", "source", "tool", "tripped", "held", "flagged", "label", "score", "bucket", "cause")
)  # fmt: skip
"""The kinds whose terms can be told by name."""
BYTES = 6
"""Of the number of a term."""
LONGEST, ROOM = 2000, 1_000_000
"""Bytes of a word, and of all words of a run, that PostgreSQL keeps."""
NONE = "_"
"""What is no word of any text."""
AT_ONCE = 500
TIE = 12
"""Bits that tell runs of one millisecond apart."""
LEAVES, WIDTHS = 4, (1, 4, 16)
"""Steps of an octave that a measure is kept in, and how many steps the terms of each level take in."""


@dataclass(frozen=True)
class Document:
    """What the index holds of one run. `at` is when it began, `seconds` and `usd` what it took."""

    run_id: str
    at: dt.datetime
    terms: tuple[Term, ...]
    said: str
    seconds: float
    usd: float | None


# ---- numbers and words -----------------------------------------------------------------------------------------------


@lru_cache(100_000)
def number(term: Term) -> int:
    """The number of a term."""
    return hash_of("\0".join(term))


def hash_of(said: str) -> int:
    """A number that stands for a text."""
    return int.from_bytes(hashlib.blake2b(said.encode(errors="replace"), digest_size=BYTES).digest())


@lru_cache(100_000)
def token(term: int) -> str:
    """A term's number as a word of the full-text table."""
    digits = ""
    while term:
        term, rest = divmod(term, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return f"_{digits}"


def terms_of(facts: Any) -> list[int]:
    """The terms of a stored row, as numbers."""
    if not isinstance(facts, bytes):
        return list(facts)
    return [int.from_bytes(facts[at : at + BYTES]) for at in range(0, len(facts), BYTES)]


def position(moment: dt.datetime) -> int:
    """The lowest number of a run that began at this moment or later."""
    milliseconds = math.floor(moment.timestamp() * 1000)
    return min(max(milliseconds, 0), (1 << 42) - 1) << TIE


def moment(seq: int) -> dt.datetime:
    """When the run with this number began, to the millisecond."""
    return dt.datetime.fromtimestamp((seq >> TIE) / 1000, dt.UTC)


def measured(kind: str, value: float | None) -> list[Term]:
    """The terms of a measure: the step of an octave it lies in, and the wider steps around that."""
    if value is None:
        return []
    return [(kind, f"{width}:{_leaf(value) // width}") for width in WIDTHS]


def measured_between(kind: str, low: float | None, high: float | None) -> list[Term]:
    """The few terms that together take in every measure from `low` to `high`, and little beside them."""
    first = _leaf(low) if low is not None else 0
    last = _leaf(high) if high is not None else _leaf(1e12)
    found: list[Term] = []
    while first <= last:
        width = next(
            width for width in reversed(WIDTHS) if width == 1 or (first % width == 0 and first + width - 1 <= last)
        )
        found.append((kind, f"{width}:{first // width}"))
        first += width
    return found


def _leaf(value: float) -> int:
    """Steps of a quarter of an octave above a millionth; a hundred million is the last."""
    if not value > 1e-6:
        return 0
    return min(1 + math.floor(LEAVES * math.log2(value / 1e-6)), 191)


_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def words(said: str) -> list[str]:
    """The words of a text as they are looked for: without case, accents and plurals; each sign of Chinese or Japanese."""
    folded = unicodedata.normalize("NFKD", said.casefold()) if not said.isascii() else said.lower()
    if not folded.isascii():
        folded = "".join(one for one in folded if not unicodedata.combining(one))
    return [_singular(one) for one in _WORD.findall(folded)]


def parts(name: str) -> list[str]:
    """The words of a name such as `refund_order`, as words are looked for."""
    return words(name.replace("_", " "))


@lru_cache(100_000)
def _singular(word: str) -> str:
    """A word without the plural's s, by Harman's rules (How effective is suffixing?, 1991)."""
    if len(word) < 4 or word[-1] != "s":
        return word
    if word.endswith("ies") and word[-4] not in "ae":
        return f"{word[:-3]}y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    return word[:-1] if word[-2] not in "us" else word


# ---- writing ---------------------------------------------------------------------------------------------------------


def put(connection: Connection, documents: Sequence[Document]) -> None:
    """Add runs that the index does not hold yet, inside the transaction that stores them."""
    if not documents:
        return
    _name(connection, {term for one in documents for term in one.terms if term[0] in LISTED})
    rows = _numbered(connection, documents)
    if connection.dialect.name == "sqlite":
        insert_many(connection, INDEX, [row | {"facts": _packed(row["facts"]), "words": None} for row in rows])
        _to_words(connection, [(row["seq"], _text(row["words"], row["facts"], row)) for row in rows])
        return
    asked = text(
        "insert into run_index (seq, run_id, facts, words, seconds, usd) values"
        " (:seq, :run_id, :facts, array_to_tsvector(cast(:words as text[])), :seconds, :usd)"
    ).bindparams(bindparam("facts", type_=INDEX.c.facts.type))
    connection.execute(
        asked, [row | {"facts": [*row["facts"], *_measures(row)], "words": _lexemes(row["words"])} for row in rows]
    )


def change(connection: Connection, added: Mapping[str, Iterable[Term]], kinds: Iterable[str]) -> None:
    """Let the runs have exactly these terms of these kinds, and keep their others."""
    _name(connection, {term for terms in added.values() for term in terms if term[0] in LISTED})
    asked = select(NAMES.c.term).where(NAMES.c.kind.in_(list(kinds)))
    loose = set(connection.execute(asked).scalars())
    for row in _held(connection, list(added)):
        before = terms_of(row["facts"])
        facts = list(dict.fromkeys([*(one for one in before if one not in loose), *map(number, added[row["run_id"]])]))
        if sorted(facts) == sorted(before):
            continue
        if connection.dialect.name == "sqlite":
            _from_words(connection, [row])
            _to_words(connection, [(row["seq"], _text(_said(row), facts, row))])
        written = _packed(facts) if connection.dialect.name == "sqlite" else facts
        connection.execute(update(INDEX).where(INDEX.c.seq == row["seq"]).values(facts=written))


def remove(connection: Connection, run_ids: Sequence[str]) -> None:
    """Take runs out, before their rows are changed or deleted."""
    rows = _held(connection, run_ids)
    if connection.dialect.name == "sqlite":
        _from_words(connection, rows)
    for part in _parts([row["seq"] for row in rows]):
        connection.execute(delete(INDEX).where(INDEX.c.seq.in_(part)))


def settle(connection: Connection) -> bool:
    """Merge some of the full-text table, so that what was taken out of it is gone from the file; whether more is left."""
    if connection.dialect.name != "sqlite":
        return False
    before = connection.exec_driver_sql("select total_changes()").scalar_one()
    connection.exec_driver_sql("insert into run_words(run_words, rank) values('merge', -2000)")
    return int(connection.exec_driver_sql("select total_changes()").scalar_one()) - int(before) > 1


def said(question: str, reply: str) -> str:
    """What of a run is looked through for words."""
    return f"{question}\n{reply}"


def _said(row: Mapping[str, Any]) -> str:
    return _unique(said(row["question"], row["reply"]))


def _unique(said: str) -> str:
    return " ".join(dict.fromkeys(words(said)))


def _numbered(connection: Connection, documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The rows, oldest first, each with a number of its own."""
    wished = {one.run_id: position(one.at) | (hash_of(one.run_id) & ((1 << TIE) - 1)) for one in documents}
    taken: set[int] = set()
    for part in _parts(list(wished.values())):
        taken |= set(connection.execute(select(INDEX.c.seq).where(INDEX.c.seq.in_(part))).scalars())
    rows = []
    for one in documents:
        seq = wished[one.run_id]
        while seq in taken:
            seq += 1
            if seq not in taken and connection.execute(select(INDEX.c.seq).where(INDEX.c.seq == seq)).first():
                taken.add(seq)
        taken.add(seq)
        rows.append(
            {
                "seq": seq,
                "run_id": one.run_id,
                "facts": list(map(number, dict.fromkeys(one.terms))),
                "words": _unique(one.said),
                "seconds": one.seconds,
                "usd": one.usd,
            }
        )
    return sorted(rows, key=lambda row: int(row["seq"]))


def _measures(row: Mapping[str, Any]) -> list[int]:
    return list(map(number, (*measured("seconds", row["seconds"]), *measured("usd", row["usd"]))))


def _text(unique: str, facts: Iterable[int], row: Mapping[str, Any]) -> str:
    """What the full-text table is given of a run: its words, and its terms with those of its measures."""
    return " ".join([unique, *map(token, facts), *map(token, _measures(row))])


def _lexemes(unique: str) -> list[str]:
    """The words that PostgreSQL takes of a text, as they are: none that is too long, and no more than it has room for."""
    taken, room = [], ROOM
    for one in unique.split(" "):
        size = len(one.encode())
        if 0 < size <= LONGEST and size <= room:
            taken.append(one)
            room -= size + 1
    return taken


def _packed(facts: Sequence[int]) -> bytes:
    return b"".join(one.to_bytes(BYTES) for one in facts)


def _to_words(connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
    connection.exec_driver_sql("insert into run_words(rowid, words) values (?, ?)", list(rows))


def _from_words(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    gone = [(row["seq"], _text(_said(row), terms_of(row["facts"]), row)) for row in rows]
    if gone:
        connection.exec_driver_sql("insert into run_words(run_words, rowid, words) values ('delete', ?, ?)", gone)


def _held(connection: Connection, run_ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """The index rows of runs, with the texts that they were made of."""
    asked = select(
        *(INDEX.c[name] for name in ("seq", "run_id", "facts", "seconds", "usd")), RUNS.c.question, RUNS.c.reply
    )
    asked = asked.join(RUNS, RUNS.c.id == INDEX.c.run_id)
    found: list[Mapping[str, Any]] = []
    for part in _parts(list(run_ids)):
        found += [dict(row) for row in connection.execute(asked.where(INDEX.c.run_id.in_(part))).mappings()]
    return found


def _name(connection: Connection, terms: Iterable[Term]) -> None:
    """Keep the names of terms that nobody had before."""
    named = {number(term): term for term in terms}
    for part in _parts(sorted(named)):
        known = set(connection.execute(select(NAMES.c.term).where(NAMES.c.term.in_(part))).scalars())
        fresh = [{"term": one, "kind": named[one][0], "value": named[one][1]} for one in part if one not in known]
        if fresh:
            connection.execute(
                text("insert into fact_name (term, kind, value) values (:term, :kind, :value) on conflict do nothing"),
                fresh,
            )


def _parts(many: list[Any]) -> list[list[Any]]:
    return [many[at : at + AT_ONCE] for at in range(0, len(many), AT_ONCE)]


def bucket(evaluator: str, value: float) -> str:
    """The value of the term that a score lies in: a twentieth of the way from 0 to 1, or outside."""
    return f"{evaluator}\t{step(value)}"


def step(value: float) -> int:
    """The twentieth that a score lies in; -1 below 0, 20 for 1 and above."""
    return min(max(math.floor(value * 20 + 1e-9), -1), 20)
