"""Sentences quoted from the help articles, with the passages they come from."""

from __future__ import annotations

from workbench.runtime.offline import matching
from workbench.runtime.offline.conversation import Call


def quotation(need: str, call: Call) -> str:
    """The best one or two sentences of the passages with their ids; empty when they do not answer."""
    value = call.value if isinstance(call.value, dict) else {}
    passages = [passage for passage in value.get("passages") or [] if isinstance(passage, dict)]
    if not value.get("enough") or call.failure:
        return ""
    scored = []
    for place, passage in enumerate(passages):
        title = str(passage.get("title", ""))
        for line, sentence in enumerate(matching.sentences(str(passage.get("text", "")))):
            said = matching.overlap(need, sentence)
            share = said + 0.3 * matching.overlap(need, title) - 0.02 * place
            if said > 0 and not matching.is_instruction(sentence) and not sentence.endswith("?") and sentence != title:
                scored.append((share, said, place, line, sentence, str(passage.get("id", ""))))
    scored.sort(key=lambda entry: (-entry[0], entry[2], entry[3]))
    if not scored or scored[0][0] < 0.15:
        return ""
    chosen = [entry for entry in scored[:2] if entry[1] >= 0.75 * scored[0][1]]
    return " ".join(f"{sentence.rstrip('. ')} [{source}]." for *_, sentence, source in chosen)
