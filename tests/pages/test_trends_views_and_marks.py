"""Saved views of Trends, and incidents and releases marked on its charts, as a manager meets them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_every_page import words
from tests.tickets.files import ADMIN
from workbench import access, settings
from workbench.access import views
from workbench.tickets import markers, signals, trends
from workbench.tickets import seed as samples
from workbench.tickets.markers import Marker

UNTIL = dt.date(2026, 3, 31)


def trends_page(**address: str) -> AppTest:
    """The trend page over sample tickets of 120 days, with one incident that somebody wrote down."""
    samples.seed(ADMIN, count=1200, days=120, until=UNTIL)
    start = dt.datetime(2026, 3, 10, tzinfo=dt.UTC)
    signals.record(ADMIN, "Scans <lost>", start=start, end=start + dt.timedelta(days=3), where={"topic": "Delivery"})
    app = AppTest.from_file(str(settings.ROOT / "workbench" / "app.py"), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    return app.switch_page(str(settings.ROOT / "pages" / "trends.py")).run()


def test_a_view_of_trends_is_saved_and_shown_again_with_its_days_and_filters(migrated: Path) -> None:
    app = trends_page(topic="Refunds", metric="CSAT", **{"from": "2026-03-02", "to": "2026-03-15"})
    shown = app.metric[0].value
    app.text_input(key="view-name-trends").set_value("Refunds in March").run()
    app.button(key="save-view-trends").click().run()
    (kept,) = views.views(access.local("architect"), "trends")
    assert kept.state["topic"] == ("Refunds",)
    assert kept.state["from"] == ("2026-03-02",)
    app.multiselect(key="topic").set_value([]).run()
    app.selectbox(key="metric").set_value("Tickets").run()
    app.button(key="zoom-out").click().run()
    assert app.metric[0].value != shown
    app.button(key=f"open-{kept.id}").click().run()
    assert not app.exception
    assert (app.metric[0].value, app.selectbox(key="metric").value) == (shown, "CSAT")
    assert app.multiselect(key="topic").value == ["Refunds"]
    assert "2 Mar 2026 to 15 Mar 2026, against the 14 days before" in words(app)
    assert shown == f"{trends.overview(_march('Refunds')).tiles[0].value:,.0f}"


def test_an_incident_is_marked_on_the_chart_named_on_hover_and_linked_below_it(migrated: Path) -> None:
    app = trends_page()
    (found,) = signals.incidents()
    assert "▲ Scans <lost>" in drawn(app)
    assert "10 Mar 2026 to 13 Mar 2026" in drawn(app)
    assert "an incident, from its first sign to its last" in words(app)
    links = [one.proto for one in app.get("page_link")]
    assert any(found.id in one.query_string and "Scans" in one.label for one in links)
    app.multiselect(key="topic").select("Refunds").run()
    assert "Scans" not in drawn(app)


def drawn(app: AppTest) -> str:
    """All that the chart of the page is told to draw."""
    (chart,) = app.get("vega_lite_chart")
    return json.dumps(json.loads(chart.proto.spec), ensure_ascii=False)


def test_a_mark_concerns_tickets_unless_they_are_others() -> None:
    one = Marker(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), "x", "incident", where={"topic": ["Refunds"]})
    assert markers.concerns(one, {})
    assert markers.concerns(one, {"vendor": ["Calder"]})
    assert markers.concerns(one, {"topic": ["App", "Refunds"]})
    assert not markers.concerns(one, {"topic": ["App"]})


def _march(topic: str) -> trends.Filters:
    return trends.Filters(dt.date(2026, 3, 2), dt.date(2026, 3, 15), {"topic": [topic]})
