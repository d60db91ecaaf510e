"""The words of a reply on their way to the screen, held back until every guardrail lets them pass."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from agents.items import TResponseStreamEvent

from workbench.runtime import guardrails
from workbench.runtime.barrier import applies
from workbench.runtime.job import Job
from workbench.runtime.record import ModelCall
from workbench.runtime.spec import GuardrailSpec


@dataclass(frozen=True)
class Words:
    """Words of the reply, safe to show."""

    text: str


class Visible:
    """Shows words as soon as they are safe.

    Nothing is shown before every guardrail on the input has passed. A rule on the reply needs at most `reach`
    characters at once, so words further back than the longest reach are shown once the rules have seen them; a check
    that needs the whole reply keeps all of it back until it has passed.
    """

    def __init__(self, job: Job, show: Callable[[Words], None]) -> None:
        self._job, self._show = job, show
        self._structured = {name for name, agent in job.spec.agents.items() if agent.output is not None}
        self._agent, self._text, self._shown, self._stopped = "", "", 0, False

    def feed(self, event: TResponseStreamEvent) -> None:
        """Take one event of the model's stream."""
        if event.type == "response.created":
            self._agent, self._text, self._shown = speaker(self._job), "", 0
        elif event.type == "response.output_text.delta":
            self._text += event.delta
            if self._agent not in self._structured:
                self._release()

    def finish(self, reply: str) -> None:
        """Show the rest of the reply, which has now passed everything."""
        if reply.startswith(self._text[: self._shown]) and len(reply) > self._shown:
            self._show(Words(reply[self._shown :]))

    def _release(self) -> None:
        if self._stopped or not self._job.barrier.clear:
            return
        rules = [(guardrails.find(one.check), one) for one in self._guards()]
        reaches = [check.needs(one.settings) for check, one in rules]
        if None in reaches:
            return
        until = _before(self._text, max((one or 0 for one in reaches), default=0))
        if until <= self._shown:
            return
        if any(_trips(check, one, self._text) for check, one in rules):
            self._stopped = True
            return
        self._show(Words(self._text[self._shown : until]))
        self._shown = until

    def _guards(self) -> list[GuardrailSpec]:
        return [one for one in self._job.spec.guardrails if one.on == "reply" and applies(one, self._agent)]


def speaker(job: Job) -> str:
    """The agent that has the conversation: whose model was asked last, agents asked as tools left out."""
    recorder = job.recorder
    asked = (c.agent for c in reversed(recorder.calls) if isinstance(c, ModelCall) and not c.inside)
    return next(asked, recorder.agent)


def _before(text: str, reach: int) -> int:
    """Where the last `reach` characters of `text` begin; those that are not seen, and accents, do not count."""
    at = len(text)
    while at and reach:
        at -= 1
        reach -= unicodedata.category(text[at])[0] not in "ZCM"
    return at


def _trips(check: guardrails.Check, spec: GuardrailSpec, text: str) -> bool:
    begun = time.monotonic()
    try:
        return check.test(text, spec.settings) is not None or time.monotonic() - begun > spec.timeout
    except Exception:  # noqa: BLE001  (a check that fails must hold; the verdict on the whole reply tells why)
        return True
