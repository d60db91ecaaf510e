"""Runs as files: one JSON document that holds the record and the frozen flow it needs."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from workbench import flows
from workbench.access import Actor, audit, require
from workbench.errors import Invalid
from workbench.runtime import release
from workbench.runtime.record import digest
from workbench.runtime.release import Release
from workbench.store import session
from workbench.traces import capture, query

FORMAT = 1


def export(run_id: str) -> str:
    """A run as one JSON document with `format` 1. Raises NotFound."""
    record = query.record(run_id)
    frozen = flows.frozen(record["digest"])
    document = {"format": FORMAT, "kind": "workbench run export", "run": record, "content": frozen.body}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def read(text: str) -> list[tuple[dict[str, Any], Release]]:
    """The runs in an export document, or in JSON Lines of unsaved runs, each with its frozen flow.

    Raises Invalid where the text is neither, or a request does not fit its digest.
    """
    documents = _documents(text)
    return [_one(document) for document in documents]


def take_in(actor: Actor, text: str) -> list[str]:
    """Store the runs of an export document; those stored already are left. Returns the ids of the new ones."""
    require(actor, "import runs")
    runs = read(text)
    with session() as open_session:
        added = capture.put(open_session, runs)
        audit.append(open_session, actor, "import runs", f"{len(added)} runs", {"ids": added[:100]})
    return added


def _documents(text: str) -> list[Any]:
    try:
        whole = json.loads(text)
        return [whole]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise Invalid("This is not a run export: it is neither JSON nor JSON Lines.") from None


_NEEDED = {
    "id": str, "flow": str, "version": str, "digest": str, "source": str, "conversation": str, "started_at": str,
    "seconds": int | float, "outcome": str, "agent": str, "question": str, "reply": str, "error": str, "stop": str,
    "input": list, "starts_at": str, "variables": dict, "calls": list, "models": list, "usage": dict, "guardrails": list,
    "spans": list,
}  # fmt: skip


def _one(document: Any) -> tuple[dict[str, Any], Release]:
    if not isinstance(document, dict) or "run" not in document or "content" not in document:
        raise Invalid("This is not a run export: `run` or `content` is missing.")
    record = document["run"]
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(record.get(name), kind)]
    if wrong:
        raise Invalid(f"The run is not whole: {', '.join(wrong)} missing or of the wrong kind.")
    frozen = release.of(document["content"])
    if frozen.digest != record["digest"]:
        raise Invalid(f"The flow in the file is not the one that {record['id']} ran.")
    for number, call in enumerate(record["calls"], 1):
        if call.get("kind") == "model" and digest(call["request"]) != call.get("digest"):
            raise Invalid(f"The file was changed: step {number} of {record['id']} does not fit its digest.")
    try:
        dt.datetime.fromisoformat(record["started_at"])
    except ValueError:
        raise Invalid(f"The run {record['id']} has no valid start time.") from None
    return record, frozen
