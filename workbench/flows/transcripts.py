"""Recorded conversations: chat messages with tool calls and their answers, read from a file or a folder, none of it lost."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import Invalid, NotFound
from workbench.flows.signatures import Signature, declared, declares

LARGEST = 200_000_000
"""Bytes of one file, unpacked."""

MOST = 1_000
"""Files of one folder."""

_LINES = (".jsonl", ".ndjson")
_DATA = (".json", *_LINES)
_TEXTS = (".md", ".txt")


@dataclass(frozen=True)
class Call:
    """A recorded tool call: its arguments as they were written, and its answer; None where none was recorded."""

    name: str
    arguments: str
    id: str
    answer: str | None = None

    @property
    def given(self) -> dict[str, Any] | None:
        """The arguments; None where they are not a JSON object."""
        try:
            found = json.loads(self.arguments or "{}", parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class Said:
    """One message of the assistant: its text, and the tools that it calls with it."""

    text: str
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A message of the customer and what the assistant said to it."""

    question: str
    answers: tuple[Said, ...] = ()

    @property
    def reply(self) -> str:
        """The text that ends the turn; empty where it ends with a tool call, or nobody answered."""
        return self.answers[-1].text if self.answers and not self.answers[-1].calls else ""

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every tool call of the turn, in order."""
        return tuple(call for said in self.answers for call in said.calls)


@dataclass(frozen=True)
class Note:
    """Something unusual in a conversation, and at which message, where it is about one."""

    words: str
    at: str = ""


@dataclass(frozen=True)
class Transcript:
    """A recorded conversation. `opening` is what the assistant said first; `notes` tell of unusual shapes."""

    id: str
    where: str
    system: str
    opening: tuple[Said, ...]
    turns: tuple[Turn, ...]
    notes: tuple[Note, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every tool call of the conversation, in order."""
        return tuple(call for said in self.opening for call in said.calls) + tuple(
            call for turn in self.turns for call in turn.calls
        )


@dataclass(frozen=True)
class Recording:
    """What a file or folder holds: conversations, tool signatures by file, texts, and files that are none of them."""

    source: Path
    transcripts: tuple[Transcript, ...]
    signatures: Mapping[Path, tuple[Signature, ...]]
    texts: tuple[Path, ...]
    others: tuple[Path, ...]

    def named(self, path: Path) -> str:
        """What messages call a file of the source."""
        return _named(path, self.source)


def read(source: Path) -> Recording:
    """The recorded conversations in a file, or in all files of a folder.

    Raises NotFound where there is nothing at `source`, and Invalid naming the file and line that cannot be used.
    """
    found: list[Transcript] = []
    offers: dict[Path, tuple[Signature, ...]] = {}
    others: list[Path] = []
    files = _files(source)
    for path in files:
        if not _data(path):
            continue
        rows = list(_rows(path, _named(path, source)))
        made = [one for one in (of_entry(row, where) for where, row in rows) if one is not None]
        listed = _signatures(rows)
        if listed:
            offers[path] = tuple(listed)
        if made and len(made) < len(rows):
            odd = next(where for where, row in rows if messages(row) is None)
            raise Invalid(f"{odd}: this is not a conversation: it holds no list of messages with roles.")
        if not made and not listed:
            others.append(path)
        found += made
    if not found:
        raise Invalid(
            f"{source} holds no recorded conversation.",
            remedy="Give a JSON or JSON Lines file whose entries hold a list of messages with roles, or a folder of them.",
        )
    texts = tuple(path for path in files if path.suffix.lower() in _TEXTS)
    return Recording(source, tuple(found), offers, texts, tuple(others))


def load(path: Path) -> Any:
    """The JSON document in a file. Raises NotFound, or Invalid naming file and line."""
    return next(document for _, document in _rows(path, path.name, whole=True))


def text(path: Path) -> str:
    """The text in a file, unpacked where its name ends in `.gz`. Raises NotFound, or Invalid naming the file."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            body: bytes = file.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise Invalid(f"{path} holds more than {LARGEST // 1_000_000} MB.", remedy="Split it.")
        return body.decode()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{path}, line {line}: this is not text in UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{path} cannot be read: {error}.") from None


def transcript(messages: Sequence[Mapping[str, Any]], *, id: str, where: str) -> Transcript:
    """A conversation from its chat messages. Raises Invalid beginning with `where` and naming the message."""
    reading = _Reading(where)
    for number, message in enumerate(messages, 1):
        reading.take(message, f"message {number}")
    return reading.whole(id)


def _named(path: Path, source: Path) -> str:
    return str(path.relative_to(source)) if path != source else path.name


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(".gz")


def _data(path: Path) -> bool:
    return _stem(path).endswith(_DATA)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        if not _data(source):
            raise Invalid(f"{source} is not a JSON or JSON Lines file.", remedy="Give one, or the folder it is in.")
        return [source]
    if not source.is_dir():
        raise NotFound(f"There is no file or folder {source}.")
    found = sorted(one for one in source.rglob("*") if one.is_file() and not _hidden(one, source))
    if len(found) > MOST:
        raise Invalid(f"{source} holds more than {MOST:,} files.", remedy="Name the folder of the conversations.")
    return found


def _hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(source).parts)


def _rows(path: Path, name: str, *, whole: bool = False) -> Iterator[tuple[str, Any]]:
    """Each entry of a file with the words for where it stands; with `whole`, the document as one."""
    body = text(path)
    if _stem(path).endswith(_LINES) and not whole:
        for number, line in enumerate(body.split("\n"), 1):
            if line.strip():
                yield f"{name}, line {number}", _parsed(line, name, number)
        return
    document = _parsed(body, name, 1)
    if whole or not isinstance(document, list) or messages(document) is not None or declares(document):
        yield name, document
        return
    yield from ((f"{name}, entry {number}", one) for number, one in enumerate(document, 1))


def _parsed(body: str, name: str, line: int) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise Invalid(f"{name}, line {line + error.lineno - 1}: this is not JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name}, line {line}: this is not JSON: {error}.") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not part of JSON")


def _signatures(rows: Iterable[tuple[str, Any]]) -> list[Signature]:
    """The tools that the entries of a file declare, each once, as it was declared first."""
    found: dict[str, Signature] = {}
    for where, row in rows:
        for one in declared(row, where):
            found.setdefault(one.name, one)
    return list(found.values())


def messages(row: Any) -> list[Any] | None:
    """The chat messages of an entry: the entry itself, or the first list of messages with roles in it; None without."""
    if isinstance(row, Mapping):
        return next((one for one in row.values() if isinstance(one, list) and messages(one) is not None), None)
    if isinstance(row, list) and row and all(isinstance(one, Mapping) for one in row):
        return row if all(isinstance(one.get("role"), str) for one in row) else None
    return None


def of_entry(row: Any, where: str) -> Transcript | None:
    """The conversation that an entry of a file holds; None where it holds none. Raises Invalid as `transcript` does."""
    listed = messages(row)
    if listed is None:
        return None
    named = (row.get("id") or row.get("conversation_id")) if isinstance(row, Mapping) else None
    return transcript(listed, id=str(named or where), where=where)


@dataclass
class _Reading:
    """A conversation as far as it was read."""

    where: str
    system: list[str] = field(default_factory=list)
    opening: list[Said] = field(default_factory=list)
    turns: list[tuple[str, list[Said]]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    legacy: int = 0

    def take(self, message: Mapping[str, Any], at: str) -> None:
        role, words = message["role"], self._words(message, at)
        if role in ("system", "developer"):
            if self.turns or self.opening:
                self._note("instructions in the middle of the conversation are left out", at)
            else:
                self.system.append(words)
        elif role == "user":
            self._ask(words, at)
        elif role == "assistant":
            self._say(words, self._calls(message, at), at)
        elif role in ("tool", "function"):
            self._answer(message, words, at)
        else:
            self._note(f"the role {role!r} is not known; the message is left out", at)

    def whole(self, id: str) -> Transcript:
        turns = tuple(Turn(asked, tuple(map(self._answered, said))) for asked, said in self.turns)
        opening = tuple(map(self._answered, self.opening))
        made = Transcript(id, self.where, "\n\n".join(self.system), opening, turns)
        self.notes += [Note(f"a call of {call.name} has no answer") for call in made.calls if call.answer is None]
        if any(said.calls for said in opening):
            self._note("tools are called before the customer's first message; those calls are only history")
        if not turns:
            self._note("the customer says nothing")
        return Transcript(id, self.where, made.system, opening, turns, tuple(self.notes))

    def _note(self, words: str, at: str = "") -> None:
        self.notes.append(Note(words, at))

    def _answered(self, said: Said) -> Said:
        return Said(said.text, tuple(Call(c.name, c.arguments, c.id, self.answers.get(c.id)) for c in said.calls))

    def _ask(self, words: str, at: str) -> None:
        if self.turns and not self.turns[-1][1]:
            self._note("the customer wrote twice in a row; read as one message", at)
            self.turns[-1] = (f"{self.turns[-1][0]}\n\n{words}", [])
        else:
            self.turns.append((words, []))

    def _say(self, words: str, calls: tuple[Call, ...], at: str) -> None:
        said = self.turns[-1][1] if self.turns else self.opening
        if not words.strip() and not calls:
            self._note("the assistant says nothing; the message is left out", at)
        elif said and not said[-1].calls:
            self._note("the assistant wrote twice in a row; read as one message", at)
            said[-1] = Said(f"{said[-1].text}\n\n{words}".rstrip(), calls)
        else:
            said.append(Said(words, calls))

    def _words(self, message: Mapping[str, Any], at: str) -> str:
        content = message.get("content")
        if content is None or isinstance(content, str):
            return content or ""
        if not isinstance(content, list):
            raise Invalid(f"{self.where}, {at}: its content is neither a text nor a list of parts.")
        texts = [one["text"] for one in content if isinstance(one, Mapping) and isinstance(one.get("text"), str)]
        if len(texts) < len(content):
            self._note("parts that are not text are left out", at)
        return "\n".join(texts)

    def _calls(self, message: Mapping[str, Any], at: str) -> tuple[Call, ...]:
        listed = message.get("tool_calls") or []
        if message.get("function_call"):
            listed = [{"function": message["function_call"]}]
        if not isinstance(listed, list):
            raise Invalid(f"{self.where}, {at}: its tool calls are not a list.")
        return tuple(self._call(one, at) for one in listed)

    def _call(self, one: Any, at: str) -> Call:
        function = one.get("function") if isinstance(one, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
            raise Invalid(f"{self.where}, {at}: a tool call without the name of a function.")
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
        recorded = str(one.get("id") or "")
        own = recorded
        if not recorded or recorded in self.ids.values():
            self.legacy += 1
            own = f"{recorded or 'call'}-{self.legacy}"
            if recorded:
                self._note("a call has the id of an earlier one; it is given its own", at)
        self.ids[own] = recorded
        return Call(function["name"], arguments, own)

    def _answer(self, message: Mapping[str, Any], words: str, at: str) -> None:
        """Put an answer to its call: by the call's id, else to the first that waits and has the name."""
        wanted, name = str(message.get("tool_call_id") or ""), message.get("name")
        said = self.turns[-1][1] if self.turns else self.opening
        waiting = [call for one in said for call in one.calls if call.id not in self.answers]
        if wanted:
            found = next((call for call in waiting if self.ids[call.id] == wanted), None)
        else:
            found = next((call for call in waiting if name in (None, call.name)), None)
        if found is None:
            self._note(f"an answer of {name or 'a tool'} belongs to no call; it is left out", at)
        else:
            self.answers[found.id] = words
