"""How every command speaks: one JSON document or people's text on standard output, progress on standard error."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from workbench.errors import Invalid, NotFound

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document.")]


def emit(data: Any, text: str, *, as_json: bool) -> None:
    """Print `data` as one JSON document, or `text` for a person."""
    print(json.dumps(data, default=plain, ensure_ascii=False, indent=2) if as_json else text)


def progress(line: str) -> None:
    """A line of progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """The JSON form of what our functions return."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def no() -> None:
    """End with exit code 1: done, and the answer is no."""
    raise typer.Exit(1)


def read_file(path: Path) -> str:
    """A text file's content. Raises NotFound or Invalid naming the file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not a text file in UTF-8.") from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None


def write_file(path: Path, text: str) -> None:
    """Write a text file. Raises Invalid where that is not possible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from None
