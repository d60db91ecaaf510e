"""Versioned prompt texts."""

from workbench.prompts.diff import Line, diff, lines
from workbench.prompts.files import file, front_matter, take_in
from workbench.prompts.library import (
    Version,
    fill,
    find,
    folders,
    get,
    names,
    read,
    restore,
    save,
    variables,
    version,
    versions,
    write,
)
from workbench.prompts.lint import Remark, lint

__all__ = [
    "Line",
    "Remark",
    "Version",
    "diff",
    "file",
    "fill",
    "find",
    "folders",
    "front_matter",
    "get",
    "lines",
    "lint",
    "names",
    "read",
    "restore",
    "save",
    "take_in",
    "variables",
    "version",
    "versions",
    "write",
]
