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
    errors_of,
    findings,
    freeze,
    frozen,
    keep,
    put,
    put_new,
    put_over,
    save,
    templates,
)
from workbench.flows.shelf import archive, archived, bring_back

__all__ = [
    "Draft",
    "Finding",
    "Imported",
    "Template",
    "archive",
    "archived",
    "begin",
    "blank",
    "bring_back",
    "create",
    "dot",
    "draft",
    "drafts",
    "errors_of",
    "findings",
    "freeze",
    "frozen",
    "keep",
    "put",
    "put_new",
    "put_over",
    "save",
    "take_in_conversations",
    "templates",
]
