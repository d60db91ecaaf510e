"""Ask a role's model one question and get an answer that fits a schema; for checks, judges and readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents import ModelSettings, ModelTracing
from openai import OpenAIError

from workbench.errors import Invalid, Unavailable
from workbench.runtime.build import JsonOutput, OutputDoesNotFit
from workbench.runtime.models import Models


@dataclass(frozen=True)
class Answer:
    """What a model wrote, as text, its label, and what that took; `usd` is None where the price is not known."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: float | None


async def ask(
    models: Models, role: str, instructions: str, text: str, schema: Mapping[str, Any]
) -> tuple[dict[str, Any], str, float | None]:
    """The answer as JSON, the label of the model, and US dollars (None where the price is not known).

    Raises Invalid where the answer does not fit `schema`, and Unavailable where the model does not answer.
    """
    try:
        said = await answer(models, role, instructions, text, schema)
    except OpenAIError as error:
        raise Unavailable(
            f"The model {models.label(role)} did not answer: {type(error).__name__}.",
            remedy="Check its address and key, and start again: what was answered is kept.",
        ) from error
    try:
        return dict(JsonOutput("answer", schema).validate_json(said.text)), said.model, said.usd
    except OutputDoesNotFit as error:
        raise Invalid(f"The answer of the {said.model} does not fit: {error}.") from None


async def answer(models: Models, role: str, instructions: str, text: str, schema: Mapping[str, Any]) -> Answer:
    """What the model of `role` answers to `text`, asked for JSON of `schema`; nobody has looked yet whether it fits.

    Raises Unavailable where it answers nothing, and what the model raises.
    """
    response = await models.get_model(role).get_response(
        instructions,
        [{"role": "user", "content": text}],
        ModelSettings(),
        [],
        JsonOutput("answer", schema),
        [],
        ModelTracing.DISABLED,
        previous_response_id=None,
        conversation_id=None,
        prompt=None,
    )
    label = models.label(role)
    written = "".join(
        part.text
        for item in response.output
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
    )
    if not written:
        raise Unavailable(f"The {label} gave no answer.")
    used = response.usage
    return Answer(written, label, used.input_tokens, used.output_tokens, models.cost(role, used))
