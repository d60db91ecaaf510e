"""Hostile input: it is refused or shown as what it is, and it changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.tickets.files import ADMIN, MakeCsv, attributes, stored, write
from workbench import settings
from workbench.errors import Invalid, NotFound, Unavailable, WorkbenchError
from workbench.tickets import Filters, changes, load, mapping, metrics, source, trends
from workbench.tickets.markers import Marker
from workbench.ui import charts as colours
from workbench.ui.charts import course
from workbench.ui.charts import trends as charts

INJECTIONS = [
    "' OR 1=1 --",
    "x'; DROP VIEW ticket; --",
    "\"; COPY ticket TO '/tmp/stolen.csv'; --",
    "topic) OR (1=1",
    "read_text('/etc/passwd')",
    "$until",
    "{where}",
    "?",
    "\0",
]
HEAD = "ticket_id,created_at,topic,body\n"

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def tickets(home: Path, make_csv: MakeCsv) -> pd.DataFrame:
    rows = [{"ticket_id": str(i), "created_at": "2026-01-01", "topic": "App", "body": ""} for i in range(5)]
    load(ADMIN, make_csv(rows), mapping=None)
    return stored()


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.usefixtures("tickets")
def test_sql_in_a_filter_is_only_a_value_that_no_ticket_has(text: str) -> None:
    filters = Filters(where={"topic": [text]})
    assert trends.tickets(filters).empty
    assert trends.overview(filters).tiles[0].value == 0
    assert changes.movers("topic", filters=filters).empty
    with pytest.raises(Invalid, match="No ticket has the topic"):
        trends.query("volume", where={"topic": [text]})
    assert trends.query("volume").rows[0]["value"] == 5


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.usefixtures("tickets")
def test_sql_in_a_name_is_refused(text: str) -> None:
    calls: list[Any] = [
        lambda: trends.query(text),
        lambda: trends.query("volume", by=[text]),
        lambda: trends.query("volume", grain=text),  # type: ignore[arg-type]
        lambda: trends.query("volume", where={text: ["x"]}),
        lambda: trends.series("volume", text),
        lambda: changes.movers(text),
        lambda: trends.tickets(Filters(where={text: ["x"]})),
    ]
    for call in calls:
        with pytest.raises(Invalid):
            call()


@given(text=st.text(min_size=1, max_size=30))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_a_filter(tickets: pd.DataFrame, text: str) -> None:
    expected = 5 if text == "App" else 0
    assert len(trends.tickets(Filters(where={"topic": [text]}))) == expected


@pytest.mark.usefixtures("tickets")
def test_the_connection_reaches_no_other_file_and_cannot_be_reopened(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.csv", "a\n1\n")
    for sql in (
        f"SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('/etc/passwd')",
        f"COPY ticket TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
        f"ATTACH '{tmp_path / 'x.db'}'",
    ):
        with pytest.raises((Unavailable, duckdb.Error), match=r"(?i)permission|disabled|locked"):
            source.fetch(sql)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("header.csv", "number,opened_at\n1,2026-01-01\n"),
        ("empty.csv", ""),
        ("head.csv", HEAD),
        ("all-bad.csv", HEAD + "1,never,x,y\n"),
        ("twice.csv", "ticket_id,ticket_id,created_at\n1,1,2026-01-01\n"),
        ("quote.csv", '"ticket_id,created_at\n1,2026-01-01\n'),
        ("utf16.csv", (HEAD + "1,2026-01-01,x,y\n").encode("utf-16")),
        ("noise.csv", bytes(range(256)) * 20),
        ("fake.parquet", "PAR1 this is no parquet PAR1"),
        ("empty.parquet", ""),
        ("list.jsonl", "[1, 2]\n"),
        ("broken.jsonl", "{\n"),
        ("deep.jsonl", "[" * 100_000),
        ("empty.jsonl", ""),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_changes_nothing(
    tickets: pd.DataFrame, tmp_path: Path, name: str, text: str | bytes
) -> None:
    before = sorted((p.name, p.read_bytes()) for p in settings.load().tickets.iterdir())
    with pytest.raises(Invalid):
        load(ADMIN, write(tmp_path / name, text), mapping=None)
    assert sorted((p.name, p.read_bytes()) for p in settings.load().tickets.iterdir()) == before
    pd.testing.assert_frame_equal(stored(), tickets)


@pytest.mark.parametrize(
    "name", ["*.csv", "../*", "[a-z]", "/etc", "/proc/self/mem.csv", "http://127.0.0.1:9/t.csv", "."]
)
def test_a_path_is_one_file_and_no_pattern_folder_or_address(tmp_path: Path, make_csv: MakeCsv, name: str) -> None:
    make_csv([{"ticket_id": "1", "created_at": "2026-01-01"}])
    with pytest.raises(WorkbenchError):
        load(ADMIN, tmp_path / name if name.startswith(("*", "[")) else Path(name), mapping=None)


def test_a_parquet_file_named_as_a_pattern_is_read_by_itself(tmp_path: Path) -> None:
    for name in ("*.parquet", "other.parquet"):
        pd.DataFrame({"ticket_id": [name], "created_at": ["2026-01-01"]}).to_parquet(tmp_path / name)
    load(ADMIN, tmp_path / "*.parquet", mapping=None)
    assert list(stored()["ticket_id"]) == ["*.parquet"]


def test_a_home_with_quotes_and_patterns_in_its_name_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_csv: MakeCsv
) -> None:
    from workbench import store

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "it's [a] home; --"))
    store.migrate()
    load(ADMIN, make_csv([{"ticket_id": "1", "created_at": "2026-01-01"}]), mapping=None)
    assert trends.freshness().rows == 1


def test_lines_that_are_not_utf8_are_kept_out_with_their_number(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", HEAD.encode() + b"1,2026-01-01,x,y\n2,2026-01-01,\xff\xfe,y\n3,2026-01-01,x,y\n")
    loaded = load(ADMIN, path, mapping=None)
    assert [(reject.line, reject.reason) for reject in loaded.rejects] == [(3, "the row is not UTF-8")]


def test_bad_json_lines_are_kept_out_with_their_numbers(tmp_path: Path) -> None:
    good = {"ticket_id": "1", "created_at": "2026-01-01", "extra": {"deep": [1, None]}}
    lines = [json.dumps(good), "{", "[]", '{"ticket_id": NaN}', "[" * 50_000, '{"ticket_id": "\\ud800"}', ""]
    loaded = load(ADMIN, write(tmp_path / "t.jsonl", "\n".join(lines)), mapping=None)
    assert [reject.line for reject in loaded.rejects] == [2, 3, 4, 5, 6]
    assert attributes() == {"extra": {"deep": [1, None]}}


def test_words_of_a_ticket_are_stored_and_shown_as_they_were_written(make_csv: MakeCsv) -> None:
    evil = "<img src=x onerror=alert(1)> <a href='javascript:alert(1)'>$1$</a>"
    load(ADMIN, make_csv([{"ticket_id": "1", "created_at": "2026-01-01", "topic": evil}]), mapping=None)
    frame = trends.series("volume", "topic", grain="day")
    mark = Marker(dt.datetime(2026, 1, 1), evil)
    drawn = course.spec(frame, metrics.get("volume"), colours.LIGHT, grain="day", markers=[mark])
    small = charts.multiples(frame, metrics.get("volume"), grain="day", markers=[mark]).to_plotly_json()
    texts = [note["text"] for note in small["layout"]["annotations"]] + list(small["data"][0]["hovertext"])
    assert stored()["topic"].iloc[0] == evil
    assert not any("<img" in text or "<a " in text for text in texts)
    # A picture in Vega-Lite draws words as text: they stand in its data, and never in what it is told to do with them.
    assert evil in json.dumps(drawn, ensure_ascii=False)
    assert not re.search(r'"(url|href|expr|signal)":', json.dumps(drawn))


def test_a_spreadsheet_takes_no_words_for_a_formula(make_csv: MakeCsv) -> None:
    row = {"ticket_id": "=1+1", "created_at": "2026-01-01", "body": '=HYPERLINK("http://x","y")', "topic": "-2"}
    load(ADMIN, make_csv([row]), mapping=None)
    text = trends.as_csv(trends.tickets()).decode()
    assert "'=1+1" in text
    assert "'=HYPERLINK" in text
    assert "'-2" in text


@pytest.mark.parametrize("text", ["a: [", "a: *b", "- 1", "!!python/object/apply:os.system ['true']", "\x00"])
def test_a_mapping_file_that_is_no_plain_yaml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid):
        mapping.read(write(tmp_path / "m.yaml", text))


def test_a_missing_mapping_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"m\.yaml"):
        mapping.read(tmp_path / "m.yaml")
