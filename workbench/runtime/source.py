"""Where releases come from: a file, or a folder with an environment's pointer. A pointer is read anew for every load."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import Invalid, NotFound
from workbench.runtime import release as releases
from workbench.runtime.release import Release

POINTERS = "environments.json"


@dataclass(frozen=True)
class Pointer:
    """Where an environment points: a release number and the digest it must have."""

    number: int
    digest: str


def load(reference: str | Path) -> Release:
    """The verified release that `reference` names: a file, or `FOLDER#flow@environment`, or `FOLDER#flow@v3`.

    Raises NotFound where a part does not exist, Invalid where the file does not fit its digest or the pointer's.
    """
    text = str(reference)
    if "#" not in text:
        return releases.load_file(Path(text))
    folder, _, name = text.partition("#")
    found = re.fullmatch(r"([a-z][a-z0-9-]*)@([a-z][a-z0-9-]*)", name)
    if not found:
        raise Invalid(f"{text} names no release.", remedy="Write FOLDER#flow@production or FOLDER#flow@v3.")
    flow, place = found[1], found[2]
    base = Path(folder) / flow
    if not base.is_dir():
        raise NotFound(f"There is no released flow {flow} in {folder}.", remedy=f"There: {_names(Path(folder))}.")
    if fixed := re.fullmatch(r"v([1-9][0-9]*)", place):
        return _checked(base, flow, int(fixed[1]))
    pointers = environments(base)
    if place not in pointers:
        known = ", ".join(pointers) or "none yet"
        raise NotFound(f"{flow} has no release in {place}.", remedy=f"It has: {known}. Promote it there first.")
    pointer = pointers[place]
    release = _checked(base, flow, pointer.number)
    if release.digest != pointer.digest:
        raise Invalid(
            f"{base / f'v{pointer.number}.json'} is not the release that {place} points to: its digest differs.",
            remedy="Restore the published file, or promote the flow again.",
        )
    return release


def environments(base: Path) -> dict[str, Pointer]:
    """The pointers of the flow whose releases lie in `base`; empty before the first promotion."""
    path = base / POINTERS
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        return {name: Pointer(int(one["number"]), str(one["digest"])) for name, one in raw["environments"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, OSError):
        raise Invalid(f"{path} is not a pointer file.", remedy="Start the workbench to write it again.") from None


def _checked(base: Path, flow: str, number: int) -> Release:
    release = releases.load_file(base / f"v{number}.json")
    if release.name != flow or release.number != number:
        raise Invalid(f"{base / f'v{number}.json'} holds {release.name} {release.version}, not {flow} v{number}.")
    return release


def _names(folder: Path) -> str:
    return ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir())) if folder.is_dir() else "nothing"
