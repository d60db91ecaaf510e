"""The tools that the engine offers to every agent: decline, hand to a person, search the knowledge."""

from __future__ import annotations

from typing import Any

from workbench.runtime.retrieval import Index
from workbench.runtime.tools import ToolContext, tool


@tool(effect="read")
def abstain(context: ToolContext, reason: str) -> dict[str, Any]:
    """Decline to answer because neither the tools nor the knowledge hold what is needed. Then tell the customer so.

    Args:
        reason: One sentence that says what is missing.
    """
    return {"declined": True}


@tool(effect="read")
def escalate(context: ToolContext, summary: str, question: str) -> dict[str, Any]:
    """Hand the conversation to a person: the customer asks for one, or the matter needs a human decision.

    Args:
        summary: What has happened so far, in one or two sentences.
        question: The open question that the person must decide.
    """
    return {"escalated": True}


class Knowledge:
    """The packed knowledge of a run: an index, how many passages to give, and the score that counts as enough."""

    def __init__(self, index: Index, top: int, abstain_below: float) -> None:
        self.index, self.top, self.abstain_below = index, top, abstain_below


@tool(effect="read")
def search_knowledge(context: ToolContext, query: str) -> dict[str, Any]:
    """Search the help articles. Cite the ids of the passages you use in brackets, like [returns-2].

    Args:
        query: What to look for, in the customer's words.
    """
    knowledge = context.resource(Knowledge)
    hits = knowledge.index.search(query, knowledge.top)
    return {
        "passages": [
            {"id": hit.passage.id, "title": hit.passage.title, "text": hit.passage.text, "score": round(hit.score, 3)}
            for hit in hits
        ],
        "enough": bool(hits) and hits[0].score >= knowledge.abstain_below,
    }
