"""The Runs page with a run of another program: read like our own, and plainly not to be run again."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.traces.test_ingest import desk, take


def test_a_run_of_another_program_is_read_and_cannot_be_forked(migrated: Path) -> None:
    made = desk()
    take(made)
    at = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    at.run()
    at.switch_page(str(ROOT / "pages" / "runs.py"))
    at.query_params["run"] = f"run_{made[0]['trace']}"
    at.run()
    assert not at.exception
    assert at.subheader[0].value.startswith("shop")
    assert any("looked up order" in one.value for one in at.caption)
    assert [one.value for one in at.chat_message[0].markdown] == [made[0]["attributes"]["input.value"]]
    replay = at.button(key=f"replay-run_{made[0]['trace']}")
    assert (replay.disabled, replay.help) == (True, "It ran in another program, whose flow is not here.")
    at.query_params["run-tab"] = "Fork from here"
    at.run()
    assert any("made by another program, and its flow is not here" in one.value for one in at.info)
    assert [one.value for one in at.error] == []
