"""Ask a role's model one question and get an answer that fits a schema; for checks and judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import ModelSettings, ModelTracing
from openai import OpenAIError

from workbench.errors import Invalid, Unavailable
from workbench.runtime.build import JsonOutput, OutputDoesNotFit
from workbench.runtime.models import Models


async def ask(
    models: Models, role: str, instructions: str, text: str, schema: Mapping[str, Any]
) -> tuple[dict[str, Any], str, float | None]:
    """The answer as JSON, the label of the model, and US dollars (None where the price is not known).

    Raises Invalid where the answer does not fit `schema`, and Unavailable where the model does not answer.
    """
    shape = JsonOutput("answer", schema)
    try:
        response = await models.get_model(role).get_response(
            instructions,
            [{"role": "user", "content": text}],
            ModelSettings(),
            [],
            shape,
            [],
            ModelTracing.DISABLED,
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )
    except OpenAIError as error:
        raise Unavailable(
            f"The model {models.label(role)} did not answer: {type(error).__name__}.",
            remedy="Check its address and key, and start again: what was answered is kept.",
        ) from error
    label, cost = models.label(role), models.cost(role, response.usage)
    written = "".join(
        part.text
        for item in response.output
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
    )
    if not written:
        raise Unavailable(f"The {label} gave no answer.")
    try:
        return dict(shape.validate_json(written)), label, cost
    except OutputDoesNotFit as error:
        raise Invalid(f"The answer of the {label} does not fit: {error}.") from None
