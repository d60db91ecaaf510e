"""Flows as drafts: editing, checking, drawing, freezing."""

from workbench.flows.check import Finding
from workbench.flows.conversations import Imported
from workbench.flows.conversations import take_in as take_in_conversations
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
    "Imported",
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
    "take_in_conversations",
    "templates",
]
