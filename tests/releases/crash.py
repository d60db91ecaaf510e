"""A process that rolls the desk back and is killed at the moment that its argument names."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from sqlalchemy import event
from sqlmodel import Session

from workbench import releases
from workbench.access import local
from workbench.store.tables import Move


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _moved(session: Session, _: Any) -> None:
    if any(isinstance(one, Move) for one in session.new):
        event.listen(session, sys.argv[1], _die)


event.listen(Session, "after_flush", _moved)
releases.rollback(local(), "desk", "production")
