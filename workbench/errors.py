"""The few errors that a person can act on. Every message names the thing and says what to do.

WorkbenchError
  NotFound      the thing named does not exist
  Invalid       the input cannot be used as it is
  Refused       the actor or a rule does not allow it
  Conflict      somebody or something else changed it first
  Unavailable   a part that is needed cannot be reached now
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors written for a person.

    `message` is one sentence; `remedy`, where known, is what to do next.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class NotFound(WorkbenchError):
    """The thing named does not exist."""


class Invalid(WorkbenchError):
    """The input cannot be used as it is."""


class Refused(WorkbenchError):
    """The actor or a rule does not allow it."""


class Conflict(WorkbenchError):
    """Somebody or something else changed it first."""


class Unavailable(WorkbenchError):
    """A part that is needed cannot be reached now."""
