"""Notices on their way: signed, once for each turn, retried, gathered, refused where they may not go, and all on record."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from tests.runtime.web import Site, reply, saying, site
from workbench import jobs, store
from workbench.access import Actor
from workbench.errors import Invalid, Refused
from workbench.operations import notices, routes
from workbench.operations.routes import Destination, Route
from workbench.store import tables
from workbench.tickets import signals
from workbench.tickets.detectors import Detector
from workbench.tickets.signals import Firing, Incident

ADMIN = Actor("abe", "admin")
KEY = "a-long-signing-key"
SPEC = Detector(detector="rush", by="topic", area="Payments", severity="high")


def happen(*topics: str) -> list[Incident]:
    """An incident of each topic, found now."""
    until = store.now().replace(minute=0, second=0, microsecond=0)
    with store.session() as open_session:
        found = [Firing(topic, until, 41.0, 12.0, 8.0, 41) for topic in topics]
        say = {"say": "Tickets: usually 12 an hour, now 41.", "tickets": ["T1"], "quotes": [], "runs": []}
        signals.take_in(open_session, SPEC, 1, found, lambda _: say, at=lambda _: store.now())
    return signals.incidents()


@pytest.fixture
def hook(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A place on loopback that takes webhooks, allowed as a deployment allows one, with a route to it."""
    with site(saying(reply(200, "ok"))) as made:
        allow(monkeypatch, made)
        route(made)
        yield made


def allow(monkeypatch: pytest.MonkeyPatch, made: Site) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_PAGE_KEY", KEY)
    monkeypatch.setenv("WORKBENCH_HOSTS_PAGE_KEY", made.place)
    monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", made.place)


def route(made: Site) -> None:
    routes.put(ADMIN, Destination("on call", "webhook", f"{made.url}/hook", "page_key"))
    routes.set_routes(ADMIN, [Route("Payments", "on call", "medium")])


def go() -> list[notices.Sent]:
    """Make what is missing and send what is due, as the schedule does."""
    notices.make()
    if job_id := notices.due():
        jobs.run_here(job_id)
    return notices.sent()


def test_a_webhook_is_signed_and_its_sending_is_on_record(hook: Site) -> None:
    (found,) = happen("Billing")
    (sent,) = go()
    assert (sent.state, sent.destination, sent.tries) == ("sent", "on call", 1)
    (seen,) = hook.seen
    stamp = seen.headers["x-workbench-timestamp"]
    expected = hmac.new(KEY.encode(), stamp.encode() + b"." + seen.body, hashlib.sha256).hexdigest()
    assert seen.headers["x-workbench-signature"] == f"v1={expected}"
    assert abs(int(stamp) - store.now().timestamp()) < 30
    body = json.loads(seen.body)
    assert body["subject"] == "New: rush: Billing"
    assert (body["id"], body["incident"], body["severity"]) == (f"{found.id}-1", found.id, "high")
    assert body["link"] == f"http://127.0.0.1:8501/signals?incident={found.id}"
    assert "usually 12 an hour, now 41" in sent.text
    told = signals.incident(found.id)
    assert told.sent_at is not None
    assert told.sent_at >= told.detected_at
    assert signals.story(found.id)[-1].text == "to on call"


def test_nothing_is_told_twice_but_each_turn_once(hook: Site) -> None:
    (found,) = happen("Billing")
    assert [one.turn for one in go()] == [1]
    go()
    assert len(hook.seen) == 1
    signals.fix(ADMIN, found.id, "release order-desk v2", changes=signals.incident(found.id).changes)
    assert [one.turn for one in go()] == [2, 1]
    go()
    assert [json.loads(one.body)["subject"] for one in hook.seen] == ["New: rush: Billing", "Fixed: rush: Billing"]


def test_a_job_done_again_after_a_crash_sends_nothing_that_was_sent(hook: Site) -> None:
    happen("Billing")
    notices.make()
    job_id = notices.due()
    jobs.run_here(job_id)
    jobs.run_here(job_id)
    assert len(hook.seen) == 1


def test_what_a_crash_left_half_sent_goes_again_under_the_same_key_or_is_said_to_be_unknown(
    hook: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CHANNEL", f"{hook.url}/services/T0/B0")
    monkeypatch.setenv("WORKBENCH_HOSTS_CHANNEL", hook.place)
    routes.put(ADMIN, Destination("channel", "slack", "secret:channel", ""))
    routes.set_routes(ADMIN, [Route("*", "on call", "low"), Route("*", "channel", "low")])
    happen("Billing")
    notices.make()
    job_id = notices.due()
    with store.session() as open_session:
        for row in open_session.exec(rows()).all():
            row.state, row.tries = "sending", 1
            open_session.add(row)
    jobs.run_here(job_id)
    states = {one.destination: one.state for one in notices.sent()}
    assert states == {"on call": "sent", "channel": "not known"}
    assert len(hook.seen) == 1
    (unknown,) = [one for one in notices.sent() if one.destination == "channel"]
    notices.again(ADMIN, unknown.incident, unknown.turn, "channel")
    go()
    assert hook.seen[-1].target == "/services/T0/B0"
    assert {one.state for one in notices.sent()} == {"sent"}


def rows() -> SelectOfScalar[tables.Notice]:
    """All notices as they are stored."""
    return select(tables.Notice)


def test_a_busy_place_is_tried_again_later_and_a_refusal_is_final(
    migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(saying(reply(503, "busy"), reply(200, "ok"), reply(404, "who?"))) as made:
        allow(monkeypatch, made)
        route(made)
        happen("Billing")
        (first,) = go()
        assert (first.state, first.tries, "status 503" in first.result) == ("waiting", 1, True)
        assert notices.due() == ""
        with store.session() as open_session:
            for row in open_session.exec(rows()).all():
                assert row.due_at > store.now() + dt.timedelta(seconds=20)
                row.due_at = store.now()
                open_session.add(row)
        assert (go()[0].state, go()[0].tries) == ("sent", 2)
        happen("Refunds")
        failed = next(one for one in go() if one.tries == 1)
        assert (failed.state, "status 404" in failed.result) == ("failed", True)


def test_the_schedule_of_a_worker_finds_an_incident_and_has_it_told(hook: Site) -> None:
    from dbos import DBOS

    from tests.tickets.test_signals import live, put

    put(60)
    live()
    try:
        assert jobs.launch(worker=True)
        assert DBOS.get_schedule("watch") is not None
        DBOS.trigger_schedule("watch")
        for _ in range(400):
            if any(one.state == notices.SENT for one in notices.sent()):
                break
            time.sleep(0.1)
    finally:
        jobs.stop()
    assert [one.state for one in notices.sent()] == ["sent"]
    assert json.loads(hook.seen[0].body)["subject"] == "New: rush: Billing"


def test_many_at_once_become_one_digest(hook: Site) -> None:
    happen("Billing", "Refunds", "App", "Setup", "Returns", "Privacy")
    sent = go()
    assert len(hook.seen) == 1
    body = json.loads(hook.seen[0].body)
    assert (body["subject"], body["notices"]) == ("6 notices about incidents", 6)
    assert "New: rush: Privacy" in body["text"]
    assert sorted(one.state for one in sent) == ["in a digest"] * 6 + ["sent"]
    assert all(one.sent_at for one in signals.incidents())


def test_more_than_ten_an_hour_wait_and_come_together(hook: Site) -> None:
    for number in range(12):
        happen(f"Topic {number}")
        go()
    assert len(hook.seen) == 10
    held = [one for one in notices.sent() if one.state == "waiting"]
    assert held
    assert all(one.kind == "digest" for one in held)


def test_slack_gets_text_without_markup_of_its_own(hook: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_CHANNEL", f"{hook.url}/services/T0/B0")
    monkeypatch.setenv("WORKBENCH_HOSTS_CHANNEL", hook.place)
    routes.put(ADMIN, Destination("channel", "slack", "secret:channel", ""))
    routes.set_routes(ADMIN, [Route("*", "channel", "low")])
    (found,) = happen("<!channel> & <https://bad.example|click>")
    go()
    text = json.loads(hook.seen[0].body)["text"]
    assert "&lt;!channel&gt; &amp; &lt;https" in text
    assert "<" not in text
    assert "/services/T0/B0" not in str(notices.sent(incident=found.id))


def test_secrets_and_private_places_are_refused_and_said(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="a cloud metadata address"):
        routes.put(ADMIN, Destination("evil", "webhook", "http://169.254.169.254/latest", "page_key"))
    with pytest.raises(Invalid, match="name of the secret"):
        routes.put(ADMIN, Destination("bare", "webhook", "https://page.example/hook", ""))
    with pytest.raises(Invalid, match="not an e-mail address"):
        routes.put(ADMIN, Destination("mail", "email", "a@b.example, <script>", "smtp"))
    routes.put(ADMIN, Destination("pager", "webhook", "https://page.example/hook", "page_key"))
    routes.set_routes(ADMIN, [Route("*", "pager", "low")])
    monkeypatch.setenv("WORKBENCH_SECRET_PAGE_KEY", KEY)
    happen("Billing")
    (sent,) = go()
    assert sent.state == "failed"
    assert "The secret page_key is not sent to page.example: no host is listed for it" in sent.result


def test_only_those_who_may_set_where_notices_go(migrated: Path, rep: Actor) -> None:
    with pytest.raises(Refused):
        routes.put(rep, Destination("pager", "webhook", "https://page.example/hook", "page_key"))
    with pytest.raises(Refused):
        routes.set_routes(rep, [])
    with pytest.raises(Invalid, match="There is no destination 'pager'"):
        routes.set_routes(ADMIN, [Route("*", "pager", "low")])


def test_without_a_route_it_is_written_down_that_nobody_was_told(migrated: Path) -> None:
    happen("Billing")
    (sent,) = go()
    assert (sent.state, sent.result) == ("told nobody", "no route leads anywhere")


def test_a_route_hears_only_of_its_area_and_severity(hook: Site) -> None:
    assert routes.leading("Payments", "high") == ["on call"]
    assert routes.leading("Payments", "low") == []
    assert routes.leading("Accounts", "critical") == []


def test_a_title_with_line_breaks_begins_no_line_of_its_own(hook: Site) -> None:
    (found,) = happen("Billing\nSeverity low; owner mallory.\u202e")
    ((_, body),) = notices.preview(found.id)
    said = json.loads(body)
    assert "Billing Severity low; owner mallory. " in said["subject"]
    assert [line for line in said["text"].split("\n") if line.startswith("Severity")] == [
        "Severity high; area Payments; owner nobody yet."
    ]


def test_the_preview_is_what_is_sent_and_sends_nothing(hook: Site) -> None:
    (found,) = happen("Billing")
    ((name, body),) = notices.preview(found.id)
    assert hook.seen == []
    go()
    assert name == "on call"
    assert json.loads(body) == json.loads(hook.seen[0].body)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_e_mail_goes_through_the_mail_server_that_the_secret_names(
    migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server() as (place, letters):
        monkeypatch.setenv("WORKBENCH_SECRET_SMTP", f"mailto://{place}?from=desk@shop.example")
        monkeypatch.setenv("WORKBENCH_HOSTS_SMTP", place)
        monkeypatch.setenv("WORKBENCH_PRIVATE_HOSTS", place)
        routes.put(ADMIN, Destination("team", "email", "ops@shop.example, lead@shop.example", "smtp"))
        routes.set_routes(ADMIN, [Route("*", "team", "low")])
        happen("Billing")
        (sent,) = go()
    assert (sent.state, sent.result) == ("sent", f"{place} took it")
    letter = "".join(letters)
    assert "ops@shop.example" in letter
    assert "lead@shop.example" in letter
    assert "rush: Billing" in letter


@contextmanager
def mail_server() -> Iterator[tuple[str, list[str]]]:
    """A mail server on loopback that takes everything, line by line."""
    letters: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                talk, _ = server.accept()
            except OSError:
                return
            with talk, talk.makefile("rw", newline="\r\n", encoding="utf-8", errors="replace") as lines:
                _converse(lines, letters)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}", letters
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def _converse(lines, letters: list[str]) -> None:  # type: ignore[no-untyped-def]
    def say(text: str) -> None:
        lines.write(text + "\n")
        lines.flush()

    say("220 ready")
    inside = False
    for line in lines:
        letters.append(line)
        if inside:
            inside = line.strip() != "."
            if not inside:
                say("250 taken")
        elif line.upper().startswith("DATA"):
            inside = True
            say("354 go on")
        elif line.upper().startswith("QUIT"):
            say("221 bye")
            return
        else:
            say("250 ok")
