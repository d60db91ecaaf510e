"""The view `ticket`: what the help desk said of each ticket, and where it said nothing, what was found in the words.

A topic that a person gave a ticket stands before both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.tickets import manifest
from workbench.tickets.columns import ATTRIBUTES, COLUMNS, FOUND, SOURCES
from workbench.tickets.manifest import Manifest, Names

WAITING = "(shown as soon as personal data in it has been masked)"
"""What stands in the place of a text that was not looked at yet, where personal data is masked."""
MARK = "\x1f"
"""How a topic's number begins where its name is filled in later, as in the rollups: names change, files stay."""


def sql(found: Manifest) -> str:
    """SELECT of all tickets there are: the columns of a ticket, its attributes, the sources, and the topic found."""
    parts, names, place = found.parts, found.topics, manifest.folder()
    pieces = []
    for enriched in (False, True):
        files = [place / part.file for part in parts if part.enriched is enriched]
        if files:
            topics = [one for one, _ in names], [one for _, one in names]
            pieces.append(select(files, topics if enriched else None, masked=found.masked))
    return " UNION ALL ".join(pieces)


def marked(count: int) -> tuple[list[str | None], list[str | None]]:
    """In the place of topics and subtopics, their numbers to be named by `named`."""
    return [f"{MARK}{n}t" for n in range(1, count + 1)], [f"{MARK}{n}s" for n in range(1, count + 1)]


def named(column: str, names: Names) -> str:
    """SQL: `column` with numbers that `marked` wrote turned into names."""
    topics, subtopics = [one for one, _ in names], [one for _, one in names]
    number = f"try_cast({column}[2:-2] AS INTEGER)"
    both = f"CASE {column}[-1] WHEN 't' THEN {_at(topics, number)} ELSE {_at(subtopics, number)} END"
    return f"CASE WHEN {column}[1] = chr(31) THEN {both} ELSE {column} END"


def select(
    files: Iterable[Path], topics: tuple[list[str | None], list[str | None]] | None, *, masked: bool = False
) -> str:
    """SELECT of the tickets in `files`. `topics` are the names by number; None where the files were never enriched.

    Where personal data is `masked`, words that were not looked at yet are not shown.
    """
    listed = "[" + ", ".join(_text(str(path)) for path in files) + "]"
    waiting = {"subject": "NULL::VARCHAR", "body": f"CASE WHEN body IS NOT NULL THEN '{WAITING}' END"}
    if topics is None:
        plain = ", ".join(
            f'{waiting[name]} AS "{name}"' if masked and name in waiting else f'"{name}"'
            for name in (*COLUMNS, ATTRIBUTES)
        )
        extra = [_source(name, "NULL") for name in SOURCES] + [f"NULL::VARCHAR AS {name}" for name in FOUND]
        extra.append("NULL::INTEGER AS topic_number")
        return f"SELECT {plain}, {', '.join(extra)} FROM read_parquet({listed})"
    found, finer = (_at(one, "enriched_topic") for one in topics)
    person = f"starts_with(topic_how, 'person:') AND {found} IS NOT NULL"
    given = {
        "topic": f"CASE WHEN {person} THEN {found} ELSE coalesce(topic, {found}) END",
        "subtopic": f"CASE WHEN {person} THEN {finer} WHEN topic IS NULL THEN coalesce(subtopic, {finer}) "
        "ELSE subtopic END",
        "language": "coalesce(language, enriched_language)",
        "sentiment": "coalesce(sentiment, enriched_sentiment)",
        "subject": "coalesce(masked_subject, subject)",
        "body": "coalesce(masked_body, body)",
    }
    if masked:
        for name, instead in waiting.items():
            given[name] = f"CASE WHEN masked_how IS NULL THEN {instead} ELSE {given[name]} END"
    columns = [f'{given[name]} AS "{name}"' if name in given else f'"{name}"' for name in (*COLUMNS, ATTRIBUTES)]
    extra = [
        f"CASE WHEN {person} THEN 'person' WHEN topic IS NOT NULL THEN 'file' "
        f"WHEN {found} IS NOT NULL THEN split_part(topic_how, ':', 1) END AS topic_source",
        _source("language_source", _if_there("language")),
        _source("sentiment_source", _if_there("sentiment")),
        *(f"{one} AS {name}" for one, name in zip((found, finer), FOUND, strict=True)),
        "enriched_topic AS topic_number",
    ]
    return f"SELECT {', '.join(columns + extra)} FROM read_parquet({listed})"


def _if_there(name: str) -> str:
    return f"CASE WHEN enriched_{name} IS NOT NULL THEN split_part({name}_how, ':', 1) END"


def _source(name: str, other: str) -> str:
    return f"CASE WHEN {name.removesuffix('_source')} IS NOT NULL THEN 'file' ELSE {other} END AS {name}"


def _at(names: Sequence[str | None], number: str) -> str:
    """SQL: the name at a number, from 1; a list is looked into at once, however long it is."""
    if not names:
        return "NULL::VARCHAR"
    listed = ", ".join("NULL" if one is None else _text(one) for one in names)
    return f"list_extract([{listed}]::VARCHAR[], {number})"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
