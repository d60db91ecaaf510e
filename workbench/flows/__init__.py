"""Flows as drafts: editing, checking, drawing, freezing."""

from workbench.flows.check import Finding
from workbench.flows.diagram import dot
from workbench.flows.drafts import (
    Draft,
    Template,
    begin,
    blank,
    create,
    draft,
    drafts,
    findings,
    freeze,
    frozen,
    keep,
    put,
    save,
    templates,
)

__all__ = [
    "Draft",
    "Finding",
    "Template",
    "begin",
    "blank",
    "create",
    "dot",
    "draft",
    "drafts",
    "findings",
    "freeze",
    "frozen",
    "keep",
    "put",
    "save",
    "templates",
]
