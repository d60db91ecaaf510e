"""Python functions as tools."""

from __future__ import annotations

from workbench.runtime import tools


def test_a_tool_may_call_its_arguments_as_it_likes() -> None:
    @tools.tool(effect="read")
    def look_everywhere(context: tools.ToolContext, keys: list[str], values: int = 3) -> str:
        """Look for keys.

        Args:
            keys: What is looked for.
            values: How many.
        """
        return ",".join(keys)

    try:
        assert tools.find("look_everywhere").arguments({"keys": ["a"]}) == {"keys": ["a"], "values": 3}
    finally:
        tools._catalogue.pop("look_everywhere")
