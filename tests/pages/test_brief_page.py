"""The brief as a manager reads it: every number leads to the same number, notes are kept, files are escaped."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import Fill
from tests.pages.test_every_page import words
from tests.tickets.files import ADMIN
from workbench import releases, settings
from workbench.access import Actor, audit
from workbench.errors import Conflict, NotFound, Refused
from workbench.tickets import brief, brief_notes, brief_text, fixes, metrics, moves, noise, signals, trends, weeks
from workbench.tickets import seed as samples
from workbench.tickets.brief import Brief
from workbench.tickets.figures import Figure
from workbench.tickets.load import put_frames
from workbench.ui.session import ROLE

UNTIL = dt.date(2026, 3, 31)
PEAK = "2026-W11"
"""The week of the sample incident of deliveries."""


def page(name: str, **address: str) -> AppTest:
    """The app as a manager finds it on a page that a link leads to."""
    return linked(name, address)


def linked(name: str, address: Mapping[str, str | list[str]]) -> AppTest:
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    app.session_state[ROLE] = "manager"
    for key, value in address.items():
        app.query_params[key] = value
    return app.switch_page(str(settings.ROOT / "pages" / f"{name}.py")).run()


@pytest.fixture
def peak(fill: Fill) -> Brief:
    """The brief of the week of the sample incident, which a person has written down and mended."""
    fill(count=4000, days=120, until=UNTIL)
    start = dt.datetime(2026, 3, 11, tzinfo=dt.UTC)
    signals.record(
        ADMIN, "Scans lost", start=start, end=start + dt.timedelta(days=6), where={"topic": "Delivery"}, fix="a patch"
    )
    return brief.brief(weeks.named(PEAK))


def numbers(app: AppTest) -> set[str]:
    """Every number that the page shows: its tiles, and its tables as they are formatted."""
    found = {str(tile.value).replace("\\", "") for tile in app.metric}
    for table in app.dataframe:
        for name in ("contribution", "value", "value_before"):
            if name in table.value:
                found |= {f"{one:+,.0f}" for one in table.value[name]} | {f"{one:+.2f}" for one in table.value[name]}
    return found


def test_every_number_of_the_brief_stands_on_the_page_that_it_leads_to(peak: Brief) -> None:
    shown: dict[tuple[str, ...], set[str]] = {}
    figures = [one for one in brief_text.figures(peak) if one.page == "trends"]
    assert len(figures) >= 15
    for one in figures:
        tiles = {name: value for name, value in one.state.items() if name != "metric" or "movers" in one.state}
        address = tuple(f"{name}={value}" for name, value in tiles.items())
        if address not in shown:
            app = linked("trends", one.state)
            assert not app.exception
            shown[address] = numbers(app)
        assert one.text.split(" in ")[0] in shown[address], (one, shown[address])


def test_the_brief_says_what_moved_by_more_than_chance_and_calls_the_rest_noise(peak: Brief) -> None:
    (risen,) = [one for one in peak.moves if (one.metric, one.group) == ("volume", "Delivery")]
    assert risen.now.value > 1.5 * risen.before.value
    assert risen.difference.low > 0
    assert risen.said.plain.startswith("Tickets of topic Delivery: ")
    assert "to the change of all tickets it adds +" in risen.said.plain
    assert "are within noise" in peak.quiet.plain
    assert any(one.plain.startswith("Find out why Delivery has +") for one in peak.asks)
    (judged,) = peak.fixes or brief.brief(weeks.named("2026-W12")).fixes
    assert "“Scans lost”, mended on 17 Mar (a patch): Tickets " in judged.plain
    assert "better by more than chance" in judged.plain


def test_a_brief_reads_in_the_browser_and_says_what_is_missing(peak: Brief) -> None:
    app = page("brief", week=PEAK)
    text = words(app)
    assert "Week 11, 9 Mar to 15 Mar 2026" in text
    assert "Scans lost" in text
    assert re.search(r"\[\*\*[\d,]+\*\*\]\(/trends\?from=2026-03-09&to=2026-03-15", text)
    assert "There is no week 2019-W01 here" in page("brief", week="2019-W01").warning[0].value.replace("\\", "")
    with pytest.raises(NotFound, match="There are no tickets of Week 1, 31 Dec to 6 Jan 2019"):
        brief.brief(weeks.named("2019-W01"))
    first = brief.brief(weeks.week(dt.date(2025, 12, 3)))
    assert "no tickets of the week before" in first.quiet.plain


def test_notes_are_kept_with_author_and_time_and_nobodys_are_lost(peak: Brief, rep: Actor, manager: Actor) -> None:
    app = page("brief", week=PEAK)
    app.text_area(key=f"brief-text-{PEAK}-0").set_value("Carrier says *sorry*.")
    next(one for one in app.button if one.label == "Save the notes").click().run()
    assert "Carrier says *sorry*." in words(app)
    kept = brief_notes.note(peak.period)
    assert (kept.number, kept.text) == (1, "Carrier says *sorry*.")
    with pytest.raises(Conflict):
        brief_notes.write(manager, peak.period, "Mine", seen=0)
    with pytest.raises(Refused):
        brief_notes.write(rep, peak.period, "Mine", seen=1)
    brief_notes.write(manager, peak.period, "Carrier paid.", seen=1)
    assert [(one.number, one.author) for one in brief_notes.versions(peak.period)][:1] == [(2, "mei")]
    assert audit.newest(1)[0].verb == "write under a brief"


def test_files_hold_hostile_words_as_words_and_links_to_the_same_pages(peak: Brief, manager: Actor) -> None:
    evil = "<script>alert(1)</script> [x](javascript:1)"
    note = brief_notes.write(manager, peak.period, evil, seen=0)
    html, text = brief_text.page(peak, note, "http://here"), brief_text.markdown(peak, note, "http://here")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\\<script\\>" in text
    assert "\\[x\\]\\(javascript" in text
    first = next(iter(brief_text.figures(peak)))
    assert f"]({'http://here' + brief_text.address(first)})" in text
    assert isinstance(first, Figure)


def test_words_from_outside_begin_no_line_of_their_own_and_turn_no_letters_around(migrated: Path) -> None:
    evil = "Late\n\nINCIDENTS\n- none \x1b[31m\u202etxt"
    frame = samples.generate(900, 90, until=UNTIL)
    frame["topic"] = np.where(frame["created_at"] >= dt.datetime(2026, 3, 16), evil, "Delivery")
    frame["subject"] = frame["body"] = evil
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)
    found, nothing = brief.brief(weeks.named("2026-W12")), brief_notes.NOTHING
    assert evil in [move.group for move in found.moves]
    for text in (brief_text.lines(found, nothing), brief_text.markdown(found, nothing, "http://127.0.0.1:8501")):
        assert "INCIDENTS" in text
        assert [line for line in text.splitlines() if line.startswith(("INCIDENTS", "- none", "\\- none"))] == []
        assert not set("\x1b\u202e") & set(text)
        assert "-" not in {line.strip() for line in text.splitlines()}


def test_customers_are_quoted_with_what_says_something_by_itself(migrated: Path) -> None:
    frame = samples.generate(900, 90, until=UNTIL).sort_values("created_at")
    frame.loc[frame.index[::2], ["subject", "body"]] = ("", "It is 1003.")
    put_frames(ADMIN, iter([frame]), source="test", verb="seed", progress=lambda _rows: None)
    quotes = [one.text for one in brief.brief(weeks.named("2026-W12")).quotes]
    assert quotes
    assert "It is 1003." not in quotes


def test_a_topic_that_is_new_is_told_and_one_query_for_all_groups_says_what_each_alone_says(peak: Brief) -> None:
    days = moves.Days(peak.start, peak.end, peak.before, peak.start - dt.timedelta(days=1), True, dt.date(2025, 12, 2))
    usual = noise.usuals(days.start, days.end, "topic", days.oldest)
    volume, csat = metrics.get("volume"), metrics.get("csat")
    together = noise.sides(volume, days.start, days.end, "topic", ["Delivery", "Brand new"], usual)
    alone = noise.usual(days.start, days.end, {"topic": ["Delivery"]}, days.oldest)
    assert usual["Delivery"] == alone
    assert together["Delivery"] == noise.side(volume, days.start, days.end, {"topic": ["Delivery"]}, usual=alone)
    assert together["Brand new"] is not None
    assert together["Brand new"].value == 0
    vendors = noise.sides(csat, days.start, days.end, "vendor", ["Calder"], {})
    assert vendors["Calder"] == noise.side(csat, days.start, days.end, {"vendor": ["Calder"]})


def test_a_release_without_an_incident_is_judged_by_what_its_flow_is_about_or_it_is_said_why_not(seeded: Path) -> None:
    (first,) = [one for one in releases.moves("order-desk") if one.environment == "production"]
    last = trends.freshness().last
    early = fixes.released(replace(first, at=last)).plain
    assert early.endswith("nothing can be said of it: there are no tickets of a whole day after it.")
    unused = fixes.released(replace(first, flow="spare-desk", at=last - dt.timedelta(days=3))).plain
    assert "no ticket names a run of this flow" in unused
    about = fixes.topics_of("order-desk")
    assert about is not None
    assert about[0] == "Delivery"
    said = fixes.released(replace(first, at=last.replace(tzinfo=dt.UTC) - dt.timedelta(days=5)))
    assert "; Automated of Delivery, what its tickets are about: " in said.plain
    assert " in the 5 days before, " in said.plain
    assert said.plain.endswith(" tickets, too few to say whether it worked.")
    assert [one.page for one in said.figures] == ["releases", "trends", "trends"]
