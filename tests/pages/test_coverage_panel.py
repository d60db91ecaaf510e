"""The guardrail coverage map as people see it: the table, its holes in words, the CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.flows.test_coverage import BARE, DESK
from workbench.flows.coverage import coverage
from workbench.runtime import spec
from workbench.ui.coverage import Table, table

ORDER_DESK = (ROOT / "data" / "seed" / "flows" / "order-desk.yaml").read_text(encoding="utf-8")


def script(text: str) -> None:
    """A page that holds nothing but the panel."""
    from workbench.runtime import spec
    from workbench.ui import coverage

    coverage.panel(spec.read(text))


def opened(text: str) -> AppTest:
    """The panel of a flow."""
    app = AppTest.from_function(script, kwargs={"text": text}, default_timeout=30).run()
    assert [one.message for one in app.exception] == []
    return app


def words(app: AppTest) -> str:
    """Everything that stands there as text, escapes taken away."""
    return " ".join(str(one.value) for kind in (app.markdown, app.caption) for one in kind).replace("\\", "")


def shown(app: AppTest) -> list[dict[str, str]]:
    """The rows of the table, without icons and escapes."""
    rows = app.table[0].value.to_dict("records")
    return [{str(k).replace("\\", ""): str(v).replace("\\", "") for k, v in row.items()} for row in rows]


def of(text: str) -> Table:
    """The table of a flow."""
    return table(coverage(spec.read(text)))


def row(text: str, agent: str, what: str) -> dict[str, str]:
    """One row of the table of a flow."""
    made = of(text)
    return next(
        found for cells in made.rows if (found := dict(zip(made.header, cells, strict=True)))["agent"] == agent
        and found["what"] == what
    )  # fmt: skip


def test_a_flow_without_holes_says_so_and_shows_who_waits_for_what() -> None:
    app = opened(ORDER_DESK)
    assert "No holes." in words(app)
    assert "refund_order (high-stakes), called by refunds: waits for injection" in words(app).replace("**", "")
    assert "a person is asked when amount is above 50" in words(app)
    pay = next(one for one in shown(app) if one["what"] == "calls refund_order")
    assert pay["injection, on the input"] == ":material/hourglass_top: waits"
    assert pay["injected-results, on tool results"] == ":material/visibility: reads"
    assert (pay["no-cards, on the reply"], pay["approval"], pay["holes"]) == ("", "when amount is above 50", "")


def test_the_holes_are_listed_in_words_with_their_level() -> None:
    app = opened(DESK)
    assert "**4 holes**" in words(app)
    assert "error: clerk-reply can never fire: clerk only answers other agents, never the customer." in words(app)
    assert "warning: When money calls fetch, no guardrail on tool results reads what comes back" in words(app)


def test_each_cell_says_in_words_what_its_icon_says() -> None:
    assert row(DESK, "money", "calls pay") == {
        "agent": "money",
        "what": "calls pay",
        "effect": "high-stakes",
        "injection, on the input": "waits",
        "money-only, on the input": "waits",
        "results, on tool results": "",
        "polite, on the reply": "",
        "clerk-reply, on the reply": "never fires",
        "nobody, on the reply": "never fires",
        "approval": "when amount is above 50",
        "reply": "",
        "holes": "",
    }
    assert row(DESK, "money", "calls fetch")["holes"] == "hole: not read"
    assert row(DESK, "money", "calls fetch")["effect"] == "read, http"
    assert row(DESK, "clerk", "is asked by agents")["reply"] == "never replies"
    over = row(DESK, "front", "hands over to money")
    assert (over["results, on tool results"], over["money-only, on the input"]) == ("ends", "goes on")
    assert over["injection, on the input"] == "goes on"
    assert row(BARE, "front", "replies")["reply"] == "hole"
    assert row(BARE, "front", "calls note")["holes"] == "hole: not guarded"
    lonely = BARE.replace("handoffs: [back], ", "")
    assert row(lonely, "back", "never at work")["reply"] == ""


def test_only_the_rows_with_holes_or_of_one_agent_can_be_shown() -> None:
    app = opened(DESK)
    everything = shown(app)
    app.toggle(key="coverage-desk-holes").set_value(True).run()
    assert [one["what"] for one in shown(app)] == ["calls fetch", "calls search_knowledge"]
    app.selectbox(key="coverage-desk-agent").set_value("front").run()
    assert "No row has a hole." in words(app)
    app.toggle(key="coverage-desk-holes").set_value(False).run()
    assert shown(app) == [one for one in everything if one["agent"] == "front"]


def test_a_large_flow_begins_with_one_agent() -> None:
    agents = "\n".join(f"  a{i}: {{prompt: p, handoffs: [a{(i + 1) % 20}], tools: [note, pay]}}" for i in range(20))
    tools = BARE.partition("tools:\n")[2]
    app = opened(f"flow: large\nentry: a0\nagents:\n{agents}\ntools:\n{tools}\nknowledge: {{collection: h}}")
    assert app.selectbox(key="coverage-large-agent").value == "a0"
    assert {one["agent"] for one in shown(app)} == {"a0"}


def test_the_csv_has_every_row_and_column_in_words() -> None:
    made = of(DESK)
    header, *rows = csv.reader(io.StringIO(made.csv))
    assert tuple(header) == made.header
    assert [tuple(one) for one in rows] == list(made.rows)
    assert ":material" not in made.csv
    assert not any(cell.startswith(("=", "+", "-", "@")) for one in rows for cell in one)


@pytest.mark.parametrize("path", sorted((ROOT / "data" / "seed" / "flows").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_map_of_every_template_is_drawn(path: Path) -> None:
    assert "No holes." in words(opened(path.read_text(encoding="utf-8")))


def test_names_are_shown_as_they_are_written_and_two_of_a_name_have_two_columns() -> None:
    twice = BARE + "guardrails: [{name: a_b_c, on: input, check: c}, {name: a_b_c, on: input, check: c}]\n"
    [first] = {tuple(one) for one in shown(opened(twice))}
    assert [name for name in first if name.startswith("a_b_c")] == ["a_b_c, on the input", "a_b_c (2), on the input"]
    assert "calls note" in {one["what"] for one in shown(opened(twice))}


def test_a_flow_that_only_reads_says_that_nothing_changes() -> None:
    reading = BARE.replace("effect: high-stakes, approve: {amount: {above: 50, in: [1, 2]}}", "effect: read").replace(
        "effect: write", "effect: read"
    )
    assert "Nothing: every tool only reads." in words(opened(reading))
