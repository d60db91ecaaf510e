"""The page Load tickets as a person drives it, and the exports that it recognises."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.tickets.files import ADMIN, attributes, stored
from workbench import access, jobs, settings
from workbench.errors import Conflict, Refused
from workbench.jobs import work
from workbench.tickets import incoming, load, manifest, mapping
from workbench.ui.session import ROLE

PAGE = settings.ROOT / "pages" / "load.py"
CSV = "Number,Opened,Topic\nA1,05/03/2026 10:00,Refunds\nA2,never,App\n"

ZENDESK = {
    "id": 35436,
    "created_at": "2026-03-05T10:00:00Z",
    "updated_at": "2026-03-06T10:00:00Z",
    "via": {"channel": "web", "source": {}},
    "subject": "Help",
    "description": "The fire is very colourful.",
    "priority": "high",
    "status": "solved",
    "type": "incident",
    "group_id": 98738,
    "tags": ["a"],
    "metric_set": {"solved_at": "2026-03-06T09:00:00Z", "reopens": 1, "reply_time_in_minutes": {"calendar": 30}},
}
INTERCOM = {
    "type": "conversation",
    "id": "1911149811",
    "created_at": 1772704800,
    "updated_at": 1772708400,
    "title": "Hi",
    "state": "closed",
    "priority": "not_priority",
    "team_assignee_id": 7,
    "source": {"type": "email", "subject": "Where is it", "body": "<p>Hi</p>"},
    "statistics": {"first_admin_reply_at": 1772705100, "last_close_at": 1772708400, "count_reopens": 0},
    "conversation_rating": {"rating": 5},
}


@pytest.fixture
def page(home: Path) -> Iterator[AppTest]:
    app = AppTest.from_file(settings.ROOT / "workbench" / "app.py", default_timeout=60)
    app.session_state[ROLE] = "manager"
    yield app.run().switch_page(str(PAGE))
    jobs.stop()


def keep(name: str, text: str) -> str:
    return incoming.keep(ADMIN, name, io.BytesIO(text.encode()))


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.error, page.warning, page.success)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def table(page: AppTest, column: str) -> pd.DataFrame:
    """The first table that has this column."""
    found: pd.DataFrame = next(one.value for one in page.dataframe if column in one.value.columns)
    return found


def test_without_tickets_the_page_says_what_to_do(page: AppTest) -> None:
    assert "No tickets yet" in words(page.run())
    page.selectbox(key=ROLE).select("rep").run()
    assert "act as manager or admin" in words(page)


def test_a_waiting_file_is_shown_as_tickets_loaded_listed_and_undone(page: AppTest) -> None:
    load(ADMIN, _file("first.csv", "ticket_id,created_at\nZ,2026-01-01\n"), mapping=None)
    keep("export.csv", CSV)
    incoming.save(ADMIN, "acme", mapping.parse(HOW))
    assert "This looks like acme" in words(page.run())
    assert "1 can be used, 1 would be left out" in words(page)
    assert "created_at 'never' is not a time" in table(page, "reason")["reason"].iloc[0]
    page.button(key="load-file").click().run()
    for _ in range(100):
        if jobs.job(page.session_state["load-job"]).ended:
            break
        page.run()
    text = words(page.run())
    assert "1 new ticket, 0 changed, 1 row left out." in text
    assert sorted(stored()["ticket_id"]) == ["A1", "Z"]
    assert list(table(page, "file")["file"]) == ["export.csv", "first.csv"]
    page.button(key="undo-load").click().run()
    assert list(stored()["ticket_id"]) == ["Z"]
    assert list(table(page, "file")["note"]) == ["undone", ""]


def test_a_file_of_other_names_asks_which_columns_to_choose(page: AppTest) -> None:
    keep("odd.csv", "Case No.,Opened,Stars\nC-1,2026-01-01,5\n")
    assert "which column is ticket_id (the ticket's own number or id)." in words(page.run())
    assert "--mapping" not in words(page)
    assert not any(button.key == "load-file" for button in page.button)


def test_two_columns_cannot_become_the_same(page: AppTest) -> None:
    keep("two.csv", "ticket_id,created_at,Stars,Points\nC-1,2026-01-01,5,4\n")
    page.run()
    page.session_state["columns-two.csv-(by the names of the columns)"] = {
        "edited_rows": {2: {"becomes": "csat"}, 3: {"becomes": "csat"}},
        "added_rows": [],
        "deleted_rows": [],
    }
    assert "Stars and Points both become csat." in words(page.run())


def test_where_no_row_can_be_used_only_the_reasons_are_shown(page: AppTest) -> None:
    keep("bad.csv", "ticket_id,created_at\nC-1,never\n")
    assert "0 can be used, 1 would be left out" in words(page.run())
    assert "Found:" not in words(page)
    assert "created_at 'never' is not a time" in table(page, "reason")["reason"].iloc[0]


def test_rows_of_the_sample_are_told_in_words_and_not_as_json(page: AppTest) -> None:
    keep("more.csv", "ticket_id,created_at,Plan,Seats\nC-1,2026-01-01,Pro {x},3\nC-2,never,Free,\n")
    page.run()
    assert list(table(page, "attributes")["attributes"]) == ["Plan: Pro {x} · Seats: 3"]
    assert list(table(page, "reason")["text"]) == ["ticket_id: C-2 · created_at: never · Plan: Free"]


HOW = {"columns": {"ticket_id": "Number", "created_at": "Opened", "topic": "Topic"}, "times": "%d/%m/%Y %H:%M"}


def _file(name: str, text: str) -> Path:
    return incoming.inbox() / keep(name, text)


@pytest.mark.usefixtures("home")
def test_a_load_that_was_cancelled_keeps_the_tickets_as_they_were() -> None:
    name = keep("large.csv", "ticket_id,created_at\n" + "".join(f"{i},2026-01-01\n" for i in range(9000)))
    made = incoming.start(ADMIN, name, mapping.Mapping())
    arguments, shards = work.open_job(made)
    jobs.cancel(ADMIN, made)
    work.do_shard(made, arguments, shards[0])
    assert not manifest.exists()
    assert jobs.run_here(made).state == "cancelled"


def test_a_link_names_the_file(page: AppTest) -> None:
    keep("one.csv", "ticket_id,created_at\n1,2026-01-01\n")
    keep("two.csv", "ticket_id,created_at\n2,2026-01-01\n")
    page.query_params["file"] = "one.csv"
    page.run()
    assert list(table(page, "ticket_id")["ticket_id"]) == ["1"]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_zendesk_export_is_recognised(wrapped: bool) -> None:
    body = {"tickets": [ZENDESK], "end_of_stream": True} if wrapped else ZENDESK
    name = keep("export.json", json.dumps(body))
    label, how = incoming.suggest(name)
    assert label == "zendesk-json"
    load(ADMIN, incoming.path_of(name), mapping=how)
    row = stored().iloc[0]
    assert (row["ticket_id"], row["channel"], row["priority"], row["reopened"]) == ("35436", "web", "high", True)
    assert f"{row['resolved_at']:%d %H:%M} {row['updated_at']:%d}" == "06 09:00 06"
    assert attributes()["tags"] == ["a"]


@pytest.mark.usefixtures("home")
def test_a_zendesk_csv_is_recognised() -> None:
    head = "Id,Created at,Updated at,Solved at,Ticket type,Via,Priority,Status,Group,Subject,Reopens,Tags\n"
    row = "7,2026-03-05 10:00,2026-03-06 10:00,,Problem,Mail,Urgent,Open,Support,Help,0,x\n"
    name = keep("tickets.csv", head + row)
    label, how = incoming.suggest(name)
    assert label == "zendesk-csv"
    load(ADMIN, incoming.path_of(name), mapping=how)
    assert list(stored().iloc[0][["ticket_id", "priority", "channel", "reopened"]]) == ["7", "urgent", "Mail", False]


@pytest.mark.usefixtures("home")
def test_an_intercom_export_is_recognised() -> None:
    name = keep("conversations.jsonl", json.dumps(INTERCOM) + "\n")
    label, how = incoming.suggest(name)
    assert label == "intercom"
    load(ADMIN, incoming.path_of(name), mapping=how)
    row = stored().iloc[0]
    assert f"{row['created_at']:%Y-%m-%d %H:%M} {row['first_response_at']:%H:%M}" == "2026-03-05 10:00 10:05"
    assert (row["csat"], row["channel"], row["priority"], row["reopened"]) == (5.0, "email", "normal", False)


@pytest.mark.usefixtures("home")
def test_a_mapping_is_saved_under_a_name_once_and_only_by_who_may() -> None:
    how = mapping.parse({**HOW, "hours": {"timezone": "Europe/Berlin", "mon": "09:00-17:00"}})
    incoming.save(ADMIN, "acme", how)
    assert incoming.saved()["acme"] == how
    with pytest.raises(Conflict):
        incoming.save(ADMIN, "acme", how)
    with pytest.raises(Refused):
        incoming.save(access.Actor("rita", "rep"), "other", how)
    load(ADMIN, _file("a.csv", CSV), mapping=how)
    assert manifest.read().last().mapping["hours"]["mon"] == "09:00-17:00"


@pytest.mark.usefixtures("home")
def test_an_uploaded_name_stays_inside_the_inbox() -> None:
    assert keep("../../evil.csv", "a,b\n") == "evil.csv"
    assert incoming.files() == ["evil.csv"]
