"""What the instructions change: the style of a reply, a forbidden tool, a stated fact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from workbench.runtime.offline import matching


@dataclass(frozen=True)
class Style:
    """The small ways in which instructions shape a reply."""

    begin: str = ""
    end: str = ""
    tone: Literal["", "formal", "friendly"] = ""
    limit: int = 0
    decline: str = ""

    def finish(self, text: str) -> str:
        """The reply as the instructions want it."""
        if self.limit:
            text = " ".join(matching.sentences(text)[: self.limit])
        opening = {"": "", "formal": "Thank you for contacting us.", "friendly": "Hi there!"}[self.tone]
        if self.tone == "friendly":
            text = re.sub(r"^(?:Hello|Good day)!\s*", "", text)
        begin = self.begin or opening
        parts = ["" if text.startswith(begin) else begin, text, "" if text.endswith(self.end) else self.end]
        return " ".join(part for part in parts if part)


def style(system: str) -> Style:
    """Read the small wishes of the instructions; everything else in them is for another model."""
    sign = re.search(r"(?i)\bsign(?: off)?(?: \w+){0,2}? (?:as|with):? [\"“]?([^\"”\n.]+)", system)
    limit = re.search(
        r"(?i)\b(?:at most|no more than|maximum of|up to|in|with) (one|two|three|four|five|a single|\d) sentences?",
        system,
    )
    friendly = re.search(r"(?i)\b(?:informal|friendly|casual|cheerful)\w*\b", system)
    formal = re.search(r"(?i)(?<!in)\bformal\w*\b", system)
    decline = re.search(
        rf"(?i)\b(?:cannot|can't|do not know|don't know|no passage|unsure)\b[^\"“\n]{{0,60}}\b(?:say|answer|reply)\b"
        rf"[^\"“\n]{{0,15}}{_QUOTED}",
        system,
    )
    return Style(
        begin=_wish(system, "begin|start|open"),
        end=_wish(system, "end|close|finish") or (sign[1].strip() if sign else ""),
        tone="friendly" if friendly else "formal" if formal else "",
        limit=(_SMALL.get(limit[1].lower()) or int(limit[1])) if limit else 0,
        decline=decline[1] if decline else "",
    )


def forbidden(name: str, system: str) -> bool:
    """Whether the instructions forbid a tool outright; "never … unless" is a condition, not a ban."""
    if name.lower() not in system.lower() and matching.plain(name) not in system.lower():
        return False
    names = rf"(?:{re.escape(name)}|{re.escape(matching.plain(name))})"
    ban = rf"(?i)\b(?:never|do not|don't|must not|may not|not allowed to)\b[^.\n]{{0,40}}\b{names}\b([^.\n]*)"
    return any(
        not re.search(r"(?i)\b(?:unless|without|before|until|twice|if|when)\b", m[1]) for m in re.finditer(ban, system)
    )


def facts(system: str, need: str) -> str:
    """The sentence of the instructions that states what the user asks for; never one that speaks to the model."""
    best, share = "", 0.49
    for sentence in matching.sentences(system):
        if not _FACT.match(sentence) or _TO_THE_MODEL.search(sentence) or matching.is_instruction(sentence):
            continue
        if (found := matching.overlap(need, sentence)) > share:
            best, share = sentence, found
    return best


def passes_on(system: str) -> bool:
    """Whether the instructions say to escalate what is not known."""
    return _PASSES_ON.search(system) is not None


def _wish(system: str, verbs: str) -> str:
    for line in system.splitlines():
        found = re.search(rf"(?i)\b(?:{verbs})\b(?: \w+){{0,5}}?:? {_QUOTED}", line)
        found = found or re.match(rf"(?i)\W*(?:{verbs})(?: \w+){{0,3}}?:\s*(\S.+)$", line)
        if found and not re.search(r"(?i)\b(?:never|not|don't)\b", line[: found.start(1)]):
            return found[1].strip()
    return ""


_QUOTED = r"""["“']([^"”\n]+?)["”'](?=\s|[.,;]|$)"""


_SMALL = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "a single": 1}


_FACT = re.compile(
    r"(?i)(?:our|we|all|every|the (?:shop|store|company|office|price|delivery|shipping|warranty)|\w+ costs?)\b"
)


_PASSES_ON = re.compile(
    r"(?i)\b(?:when|where|if)\b[^.\n]*\b(?:no|not|nothing|none|unknown|cannot)\b[^.\n]*\bescalate\b"
)


_TO_THE_MODEL = re.compile(
    r"(?i)\b(?:you|your|never|always|must|should|do not|don't|if|when|use|call|answer|reply|ask|say|begin|"
    r"start|end|sign|"
    r"keep|be|speak|write|secret|internal|confidential|private|password|key|token|tone|style|route|hand)\b"
)
