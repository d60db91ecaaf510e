"""Versioned prompt texts."""

from workbench.prompts.library import Version, diff, front_matter, get, names, read, save, take_in, versions, write

__all__ = ["Version", "diff", "front_matter", "get", "names", "read", "save", "take_in", "versions", "write"]
