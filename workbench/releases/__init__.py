"""Frozen versions of flows, and the environments that point to them."""

from workbench.releases.diff import Change, diff
from workbench.releases.publish import (
    ENVIRONMENTS,
    Moved,
    Proposal,
    Released,
    before,
    environments,
    moves,
    promote,
    propose,
    publish,
    releases,
    resolve,
    rollback,
)

__all__ = [
    "ENVIRONMENTS",
    "Change",
    "Moved",
    "Proposal",
    "Released",
    "before",
    "diff",
    "environments",
    "moves",
    "promote",
    "propose",
    "publish",
    "releases",
    "resolve",
    "rollback",
]
