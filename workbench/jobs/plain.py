"""What DBOS stores of our jobs, as JSON: nothing stored is ever unpickled."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from dbos import Serializer


class FailedBefore(RuntimeError):
    """A failure that was stored, told again."""


class Json(Serializer):
    """Arguments, results and failures as JSON text."""

    def serialize(self, data: Any) -> str:
        """`data` as JSON; an exception becomes its type's name and message."""
        if isinstance(data, BaseException):
            data = {"$failure": [type(data).__name__, str(data)]}
        return json.dumps(data, ensure_ascii=False, default=_moment)

    def deserialize(self, serialized_data: str) -> Any:
        """The data, or a FailedBefore."""
        data = json.loads(serialized_data, object_hook=_read)
        if isinstance(data, dict) and "$failure" in data:
            return FailedBefore(": ".join(data["$failure"]))
        return data

    def name(self) -> str:
        """The name under which DBOS remembers the format."""
        return "workbench_json"


def _moment(value: Any) -> dict[str, str]:
    if isinstance(value, dt.datetime):
        return {"$moment": value.isoformat()}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _read(found: dict[str, Any]) -> Any:
    return dt.datetime.fromisoformat(found["$moment"]) if found.keys() == {"$moment"} else found
