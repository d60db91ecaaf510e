from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.tickets.files import ADMIN, MakeCsv, attributes, is_empty, parts, stored, write
from workbench import access, settings
from workbench.errors import Invalid, NotFound, Refused, Unavailable
from workbench.tickets import load, manifest, mapping, trends, weeks

ROW = {"ticket_id": "A1", "created_at": "2026-03-05T14:30:00Z", "topic": "Refunds", "csat": "4", "reopened": "no"}

pytestmark = pytest.mark.usefixtures("home")


def test_a_csv_file_takes_the_place_of_all_tickets_where_that_is_asked(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ROW, {**ROW, "ticket_id": "A2"}]), mapping=None)
    loaded = load(ADMIN, make_csv([{**ROW, "ticket_id": "B1"}], "other.csv"), mapping=None, replace_all=True)
    assert (loaded.rows, loaded.rejected, loaded.duplicates, loaded.replaced) == (1, 0, 0, True)
    assert list(stored()["ticket_id"]) == ["B1"]


def test_csv_json_lines_and_parquet_of_the_same_rows_give_the_same_tickets(tmp_path: Path, make_csv: MakeCsv) -> None:
    rows = [{**ROW, "ticket_id": f"A{i}", "note": f"n{i}"} for i in range(3)]
    frame = pd.DataFrame(rows)
    frame["created_at"] = pd.to_datetime(frame["created_at"])
    frame["csat"] = frame["csat"].astype(float)
    frame.to_parquet(tmp_path / "t.parquet")
    write(tmp_path / "t.jsonl", "\n".join(json.dumps({**row, "csat": 4, "reopened": False}) for row in rows))
    load(ADMIN, make_csv(rows), mapping=None)
    first = stored()
    for name in ("t.jsonl", "t.parquet"):
        load(ADMIN, tmp_path / name, mapping=None)
        pd.testing.assert_frame_equal(stored(), first)


def test_moments_of_a_parquet_file_are_the_times_they_mean_and_those_of_no_year_we_know_are_named(
    tmp_path: Path,
) -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    created = [dt.datetime(2026, 6, day, 11, tzinfo=tokyo) for day in (1, 2, 3)]
    frame = pd.DataFrame(
        {
            "ticket_id": ["1", "2", "3", "4"],
            "created_at": [*created, dt.datetime(1901, 1, 1, 9, tzinfo=tokyo)],
            "resolved_at": [dt.datetime(2026, 7, 1, 12, 0, 0, 123456), None, dt.datetime(2026, 10, 25, 2, 30), None],
            "first_response_at": [dt.date(2026, 8, 1), None, None, None],
            "subject": ["  kept\0 ", "", None, "x"],
            "topic": ["  Refunds\0 ", "", None, "x"],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    loaded = load(ADMIN, tmp_path / "t.parquet", mapping=mapping.Mapping(timezone="Europe/Berlin"))
    assert [(one.line, one.reason) for one in loaded.rejects] == [
        (4, "created_at '1901-01-01T09:00:00+09:00' is not of the years 1970 to 2099 (UTC)")
    ]
    found = stored()
    assert list(found["created_at"]) == [pd.Timestamp(2026, 6, day, 2) for day in (1, 2, 3)]
    assert found["resolved_at"].tolist()[0] == pd.Timestamp("2026-07-01 10:00:00.123456")
    assert found["resolved_at"].tolist()[2] == pd.Timestamp("2026-10-25 00:30")
    assert pd.isna(found["resolved_at"].tolist()[1])
    assert found["first_response_at"].tolist()[0] == pd.Timestamp("2026-07-31 22:00")
    assert found["subject"].tolist()[0] == "  kept "
    assert found["topic"].tolist()[0] == "Refunds"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_time_that_stands_for_never_costs_its_row_and_no_more(tmp_path: Path, zone: str) -> None:
    never, soon = dt.datetime(9999, 12, 31, 23, 59, 59), dt.datetime(2026, 6, 2, 12)
    frame = pd.DataFrame(
        {"ticket_id": ["1", "2"], "created_at": dt.datetime(2026, 6, 1, 12), "resolved_at": [soon, never]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    loaded = load(ADMIN, tmp_path / "t.parquet", mapping=mapping.Mapping(timezone=zone))
    assert [(one.line, one.reason) for one in loaded.rejects] == [
        (2, "resolved_at '9999-12-31T23:59:59' is not of the years 1970 to 2099 (UTC)")
    ]
    told = mapping.parse({"timezone": zone, "values": {"resolved_at": {"9999-12-31T23:59:59": "2026-06-03T00:00:00Z"}}})
    assert (load(ADMIN, tmp_path / "t.parquet", mapping=told, replace_all=True)).rows == 2
    assert stored()["resolved_at"].max() == max(pd.Timestamp("2026-06-03"), stored()["resolved_at"].min())


def test_a_moment_outside_of_all_years_is_one_rejected_row(tmp_path: Path) -> None:
    far = pa.array([1780279200000, 1780279200000 + 2**61], type=pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table({"ticket_id": ["1", "2"], "created_at": far}), tmp_path / "t.parquet")
    loaded = load(ADMIN, tmp_path / "t.parquet", mapping=None)
    assert [one.line for one in loaded.rejects] == [2]
    assert list(stored()["created_at"]) == [pd.Timestamp("2026-06-01 02:00")]


def test_an_object_with_half_a_character_is_told_and_the_others_are_loaded(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.json",
        '[{"ticket_id": "a\\ud800", "created_at": "2026-06-01"}, {"ticket_id": "b", "created_at": "2026-06-01"}]',
    )
    loaded = load(ADMIN, path, mapping=None)
    assert [(one.line, one.reason) for one in loaded.rejects] == [(1, "this object holds half a character")]
    assert list(stored()["ticket_id"]) == ["b"]


def test_times_are_stored_in_utc_whatever_zone_they_were_written_in(make_csv: MakeCsv) -> None:
    written = ["2026-07-01T12:00:00+02:00", "2026-07-01 10:00:00Z", "2026-07-01T12:00", "2026-07-01T10:00:00.000 UTC"]
    rows = [{"ticket_id": str(i), "created_at": text} for i, text in enumerate(written)]
    load(ADMIN, make_csv(rows), mapping=mapping.Mapping(timezone="Europe/Berlin"))
    assert stored()["created_at"].nunique() == 1
    assert stored()["created_at"].iloc[0] == pd.Timestamp("2026-07-01 10:00:00")


def test_the_hour_that_occurs_twice_means_its_first_and_the_missing_hour_moves_on(make_csv: MakeCsv) -> None:
    rows = [{"ticket_id": "1", "created_at": "2026-10-25 02:30"}, {"ticket_id": "2", "created_at": "2026-03-29 02:30"}]
    load(ADMIN, make_csv(rows), mapping=mapping.Mapping(timezone="Europe/Berlin"))
    assert list(stored()["created_at"]) == [pd.Timestamp("2026-03-29 01:00"), pd.Timestamp("2026-10-25 00:30")]


def test_unknown_columns_are_kept_as_attributes_and_empty_ones_are_left_out(make_csv: MakeCsv) -> None:
    loaded = load(ADMIN, make_csv([{**ROW, "plan": "gold", "seats": ""}]), mapping=None)
    assert loaded.attributes == ("plan", "seats")
    assert attributes() == {"plan": "gold"}


def test_tickets_that_were_published_can_be_loaded_again_unchanged(make_csv: MakeCsv, tmp_path: Path) -> None:
    load(ADMIN, make_csv([{**ROW, "plan": "gold"}, {**ROW, "ticket_id": "A2", "plan": ""}]), mapping=None)
    first = stored()
    copy = write(tmp_path / "copy.parquet", parts()[0].read_bytes())
    load(ADMIN, copy, mapping=None)
    pd.testing.assert_frame_equal(stored(), first)


def test_bad_rows_are_kept_out_with_line_and_reason_and_written_to_a_file(make_csv: MakeCsv) -> None:
    rows = [
        ROW,
        {**ROW, "ticket_id": ""},
        {**ROW, "ticket_id": "A3", "created_at": "yesterday"},
        {**ROW, "ticket_id": "A4", "csat": "9", "reopened": "maybe"},
        {**ROW, "ticket_id": "A5", "created_at": ""},
    ]
    loaded = load(ADMIN, make_csv(rows), mapping=None)
    assert (loaded.rows, loaded.rejected) == (1, 4)
    assert [(reject.line, reject.reason) for reject in loaded.rejects] == [
        (3, "ticket_id is empty"),
        (4, "created_at 'yesterday' is not a time written as 2026-03-05T14:30:00Z"),
        (5, "reopened 'maybe' is neither true nor false; csat 9 is not between 1 and 5"),
        (6, "created_at is empty"),
    ]
    assert loaded.rejects_file is not None
    assert list(pd.read_csv(loaded.rejects_file)["line"]) == [3, 4, 5, 6]
    assert trends.freshness().rejected == 4


def test_a_ticket_that_is_resolved_before_it_was_created_is_kept_out(make_csv: MakeCsv) -> None:
    late = {"ticket_id": "1", "created_at": "2026-01-02", "resolved_at": "2026-01-03"}
    loaded = load(ADMIN, make_csv([late, {**late, "ticket_id": "2", "resolved_at": "2026-01-01"}]), mapping=None)
    assert [reject.reason for reject in loaded.rejects] == ["resolved_at is before created_at"]


def test_a_ticket_of_the_future_is_kept_out_so_that_the_newest_weeks_stay_those_that_are_there(
    make_csv: MakeCsv, tmp_path: Path
) -> None:
    rows = [ROW, {**ROW, "ticket_id": "A2", "created_at": "2099-01-01T00:00:00Z"}]
    write(tmp_path / "t.jsonl", "\n".join(json.dumps(row) for row in rows))
    for path in (make_csv(rows), tmp_path / "t.jsonl"):
        loaded = load(ADMIN, path, mapping=None)
        assert [one.reason for one in loaded.rejects] == ["created_at lies in the future"]
        assert weeks.latest().name == "2026-W10"


def test_of_rows_with_one_ticket_id_the_last_wins_and_is_counted(make_csv: MakeCsv) -> None:
    loaded = load(ADMIN, make_csv([ROW, {**ROW, "topic": "Billing"}, {**ROW, "topic": "App"}]), mapping=None)
    assert (loaded.rows, loaded.duplicates) == (1, 2)
    assert list(stored()["topic"]) == ["App"]


def test_a_preview_says_the_same_and_changes_nothing(make_csv: MakeCsv) -> None:
    path = make_csv([ROW, {**ROW, "ticket_id": ""}])
    loaded = load(ADMIN, path, mapping=None, preview=True)
    assert (loaded.rows, loaded.rejected, loaded.published) == (1, 1, None)
    assert is_empty()
    assert not access.audit.newest()


def test_a_wrong_header_names_what_is_missing_and_how_to_map_it(make_csv: MakeCsv) -> None:
    with pytest.raises(Invalid) as caught:
        load(ADMIN, make_csv([{"number": "1", "opened_at": "2026-01-01"}]), mapping=None)
    assert "no column ticket_id and no column created_at" in caught.value.message
    assert "It has number, opened_at." in caught.value.message
    assert "{ticket_id: number, created_at: opened_at}" in caught.value.remedy


def test_semicolons_are_noticed_and_a_mapping_can_name_them(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "ticket_id;created_at\n1;2026-01-01\n")
    with pytest.raises(Invalid, match="separated by ';'"):
        load(ADMIN, path, mapping=None)
    assert load(ADMIN, path, mapping=mapping.parse({"delimiter": ";"})).rows == 1


def test_loading_is_refused_to_a_role_that_may_not(make_csv: MakeCsv) -> None:
    with pytest.raises(Refused):
        load(access.Actor("rita", "rep"), make_csv([ROW]), mapping=None)
    assert is_empty()


def test_loading_is_written_to_the_audit_trail(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ROW]), mapping=None)
    entry = access.audit.newest()[0]
    assert (entry.actor, entry.verb, entry.thing, entry.detail["rows"]) == ("ada", "load tickets", "tickets.csv", 1)


def test_a_folder_that_cannot_be_written_changes_nothing(make_csv: MakeCsv) -> None:
    settings.load().local.mkdir(parents=True, exist_ok=True)
    settings.load().tickets.write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        load(ADMIN, make_csv([ROW]), mapping=None)
    assert not access.audit.newest()


def test_no_temporary_file_is_left_behind(make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv([ROW]), mapping=None)
    names = {path.name for path in settings.load().tickets.iterdir()}
    assert names == {manifest.MANIFEST, ".lock", parts()[0].name}


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.csv"):
        load(ADMIN, tmp_path / "nowhere.csv", mapping=None)
    with pytest.raises(Invalid, match="of no known kind"):
        load(ADMIN, write(tmp_path / "t.xlsx", "x"), mapping=None)


def test_a_mapping_renames_derives_and_translates(make_csv: MakeCsv) -> None:
    how = mapping.parse(
        {
            "columns": {"ticket_id": "key", "created_at": "opened"},
            "derive": {"reopened": {"column": "returns", "above": 0}, "csat": {"column": "score", "scale": [0, 100]}},
            "values": {"priority": {"P1": "urgent", 2: "high"}},
            "times": "%d/%m/%Y %H:%M",
        }
    )
    rows = [
        {"key": "1", "opened": "03/02/2026 10:00", "returns": "2", "score": "50", "priority": "P1"},
        {"key": "2", "opened": "04/02/2026 10:00", "returns": "0", "score": "", "priority": "2"},
    ]
    load(ADMIN, make_csv(rows), mapping=how)
    found = stored()
    assert list(found["created_at"].dt.strftime("%Y-%m-%d")) == ["2026-02-03", "2026-02-04"]
    assert list(found["reopened"]) == [True, False]
    assert found["csat"].iloc[0] == 3.0
    assert list(found["priority"]) == ["urgent", "high"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"colums": {}}, "the key 'colums' is not known; the nearest is 'columns'"),
        ({"columns": {"topc": "x"}}, "columns.topc: a ticket has no such column; the nearest is 'topic'"),
        ({"derive": {"reopened": {"column": "x", "over": 0}}}, "derive.reopened: the key 'over' is not known"),
        ({"derive": {"topic": {"column": "x", "above": 0}}}, "derive.topic needs exactly one rule"),
        ({"timezone": "Mars/Olympus"}, "timezone 'Mars/Olympus' is not known"),
        ({"timezone": "../../etc/passwd"}, "timezone '../../etc/passwd' is not known"),
        ({"delimiter": "::"}, "delimiter must be one character"),
        ([], "must be pairs"),
    ],
)
def test_a_mapping_with_a_mistake_is_refused_with_its_place(body: object, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        mapping.parse(body)
    assert message in caught.value.message


def test_a_mapping_to_a_column_that_the_file_lacks_names_the_nearest(make_csv: MakeCsv) -> None:
    row = {"ticket_id": "1", "created_at": "2026-01-01", "topics": "x"}
    with pytest.raises(Invalid, match="Did you mean `topic: topics`"):
        load(ADMIN, make_csv([row]), mapping=mapping.parse({"columns": {"topic": "topicz"}}))


LINES = st.lists(
    st.one_of(
        st.just("A,2026-01-01,x"),
        st.just('B,2026-01-01,"two\nlines"'),
        st.just('C,2026-01-01,"never closed'),
        st.just("D,2026-01-01"),
        st.just("E,nonsense,x"),
        st.just(""),
        st.text(alphabet='ab",\n ', max_size=12),
    ),
    max_size=12,
)


@given(lines=LINES)
@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_row_of_any_file_is_lost_and_loading_it_twice_gives_the_same_rows(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "ticket_id,created_at,body\nZ,2026-01-01,last\n" + "\n".join(lines)
        path = write(Path(folder) / "t.csv", text)
        once = load(ADMIN, path, mapping=None)
        first = stored()
        twice = load(ADMIN, path, mapping=None)
        pd.testing.assert_frame_equal(stored(), first)
        assert (once.rows, once.rejects) == (twice.rows, twice.rejects)
        good = sum(line.count("2026-01-01,x") == 1 and line.startswith("A") for line in lines)
        assert once.rows + once.duplicates >= (1 if not good else 2)
        physical = text.count("\n") + 1
        assert all(2 <= reject.line <= physical for reject in once.rejects)
        assert len({reject.line for reject in once.rejects}) == once.rejected


def test_one_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    rows = [f"{i},2026-01-01,text {i}" for i in range(3000)]
    rows[10] = '10,2026-01-01,"never closed'
    path = write(tmp_path / "t.csv", "ticket_id,created_at,body\n" + "\n".join(rows) + "\n")
    loaded = load(ADMIN, path, mapping=None)
    assert (loaded.rows, loaded.rejected) == (2999, 1)
    assert loaded.rejects[0].line == 12
    assert "never closed" in loaded.rejects[0].reason


def test_a_text_of_several_lines_is_one_row_and_later_lines_keep_their_numbers(tmp_path: Path) -> None:
    text = 'ticket_id,created_at,body\n1,2026-01-01,"a\nb\nc"\n2,bad,x\n'
    loaded = load(ADMIN, write(tmp_path / "t.csv", text), mapping=None)
    assert stored()["body"].iloc[0] == "a\nb\nc"
    assert [reject.line for reject in loaded.rejects] == [5]
