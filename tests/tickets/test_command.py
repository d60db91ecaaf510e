"""The `tickets` commands as a script calls them: one JSON document, and people's text otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.tickets.files import MakeCsv, is_empty, write
from workbench.cli.tickets import app
from workbench.errors import Invalid, NotFound

ROWS = [
    {"ticket_id": "1", "created_at": "2026-01-01", "topic": "App", "csat": "5"},
    {"ticket_id": "2", "created_at": "2026-01-08", "topic": "Refunds", "csat": "2"},
    {"ticket_id": "3", "created_at": "never", "topic": "Refunds", "csat": "2"},
]

pytestmark = pytest.mark.usefixtures("home")


def run(*arguments: str | Path) -> str:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False).stdout


def answer(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return found


def test_loading_prints_one_json_document_or_words(make_csv: MakeCsv) -> None:
    loaded = answer("load", make_csv(ROWS))
    assert (loaded["rows"], loaded["rejected"]) == (2, 1)
    assert loaded["rejects"][0]["line"] == 4
    text = run("load", make_csv(ROWS))
    assert text.startswith("2 tickets from tickets.csv loaded")
    assert "line 4: created_at 'never' is not a time" in text


def test_loading_sets_up_a_database_that_is_not_there_yet(
    make_csv: MakeCsv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "new"))
    with pytest.raises(Invalid):
        run("load", make_csv([{"number": "1"}], "wrong.csv"))
    assert not (tmp_path / "new").exists()
    assert answer("load", make_csv(ROWS))["rows"] == 2


def test_a_preview_loads_nothing(make_csv: MakeCsv) -> None:
    assert "would be loaded" in run("load", make_csv(ROWS), "--preview")
    assert is_empty()


def test_a_mapping_file_is_used(make_csv: MakeCsv, tmp_path: Path) -> None:
    path = make_csv([{"key": "1", "created_at": "2026-01-01"}])
    mapping = write(tmp_path / "m.yaml", "columns: {ticket_id: key}\n")
    assert answer("load", path, "--mapping", mapping)["mapped"]["ticket_id"] == "key"


def test_asking_gives_rows_by_period_and_group(make_csv: MakeCsv) -> None:
    run("load", make_csv(ROWS))
    found = answer("query", "csat", "--by", "topic", "--grain", "week", "--from", "2026-01-05", "--to", "2026-01-08")
    assert (found["metric"], found["unit"], found["start"]) == ("csat", "points", "2026-01-05")
    assert found["rows"] == [{"period": "2026-01-05", "topic": "Refunds", "value": 2.0, "tickets": 1}]


def test_conditions_on_one_dimension_are_alternatives(make_csv: MakeCsv) -> None:
    run("load", make_csv(ROWS))
    both = answer("query", "volume", "--where", "topic=App", "--where", "topic=Refunds")
    assert both["rows"] == [{"value": 2.0, "tickets": 2}]
    assert run("query", "volume", "--by", "topic").splitlines()[1].split() == ["topic", "tickets", "counted"]


def test_a_condition_without_a_value_and_a_question_without_tickets_are_refused(make_csv: MakeCsv) -> None:
    with pytest.raises(NotFound):
        run("query", "volume")
    run("load", make_csv(ROWS))
    with pytest.raises(Invalid, match="has no value"):
        run("query", "volume", "--where", "topic")
