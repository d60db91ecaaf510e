"""What is found in tickets' words fills only what the help desk left open, survives a kill, and is told from where it is."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.loopback import Turn, message, serve
from tests.once import together
from tests.test_commands import here, look
from tests.tickets.files import ADMIN, MakeCsv, write
from workbench import jobs
from workbench.access import Actor
from workbench.errors import Conflict, Invalid, Refused
from workbench.jobs import work
from workbench.store.tables import TextModel, TopicRow
from workbench.tickets import (
    asked,
    discover,
    enrich,
    incoming,
    load,
    manifest,
    publish,
    sentiment,
    source,
    topics,
    trends,
    view,
)
from workbench.tickets.mapping import Mapping

GERMAN = "Guten Tag, meine Lieferung ist noch immer nicht angekommen, obwohl sie gestern hätte kommen sollen."
FRENCH = "Bonjour, je n'ai toujours pas reçu mon colis, pouvez-vous vérifier où il se trouve s'il vous plaît ?"


def rows(count: int, months: Sequence[str] = ("2026-01", "2026-02", "2026-03")) -> list[dict[str, object]]:
    """Tickets over some months, half of them without a language."""
    return [
        {
            "ticket_id": f"T{n:05}",
            "created_at": f"{months[n % len(months)]}-{1 + n % 28:02}T10:00:00Z",
            "language": "nl" if n % 2 else "",
            "subject": f"Frage {n}",
            "body": GERMAN if n % 4 < 2 else FRENCH,
        }
        for n in range(count)
    ]


def run(kinds: Sequence[str]) -> jobs.Job:
    return jobs.run_here(enrich.create(ADMIN, kinds))


def count(where: str) -> int:
    return int(source.records(f"SELECT count(*) AS n FROM ticket WHERE {where}")[0]["n"])


def test_language_is_found_where_the_help_desk_named_none_and_never_overwritten(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(120)), mapping=None)
    done = run(["language"])
    assert (done.state, done.done, done.total) == ("done", 60, 60)
    assert count("language = 'nl' AND language_source = 'file'") == 60
    assert count("language = 'de' AND language_source = 'local'") == 30
    assert count("language = 'fr' AND language_source = 'local'") == 30
    assert {row["n"] for row in source.records("SELECT count(*) AS n FROM ticket")} == {120}


def test_finding_it_again_changes_nothing(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(60)), mapping=None)
    run(["language", "masked"])
    before = manifest.read()
    again = run(["language", "masked"])
    assert (again.state, again.total) == ("done", 0)
    assert manifest.read() == before


def test_a_reload_keeps_what_was_found_unless_the_words_changed(home: Path, make_csv: MakeCsv) -> None:
    given = rows(60)
    load(ADMIN, make_csv(given), mapping=None)
    run(["language"])
    assert load(ADMIN, make_csv(given), mapping=None).unchanged == 60
    given[0]["product"], given[2]["body"] = "Lamp", "Please send me the missing screws of the lamp that I bought here."
    assert load(ADMIN, make_csv(given), mapping=None).changed == 2
    assert count("language IS NULL") == 1
    assert run(["language"]).total == 1
    assert trends.ticket("T00002")["language"] == "en"
    assert trends.ticket("T00000")["language"] == "de"


def test_the_schedule_looks_at_new_tickets_for_what_was_found_before_and_else_does_nothing(
    home: Path, make_csv: MakeCsv
) -> None:
    assert enrich.due() == []
    load(ADMIN, make_csv(rows(30)), mapping=None)
    assert enrich.due() == []
    run(["language"])
    assert enrich.due() == []
    load(ADMIN, make_csv(rows(40)), mapping=None)
    made = enrich.due()
    assert [jobs.job(one).title for one in made] == ["Looking at 5 new tickets"]
    assert enrich.due() == []
    assert jobs.run_here(made[0]).state == "done"
    assert count("language IS NULL") == 0


def test_an_undone_load_leaves_tickets_that_can_be_read(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(30)), mapping=None)
    load(ADMIN, make_csv(rows(40)), mapping=None)
    run(["language"])
    publish.undo(ADMIN)
    assert count("true") == 30
    assert run(["language"]).state == "done"
    assert count("language IS NULL") == 0


def test_personal_data_is_shown_and_exported_masked_and_kept_for_the_next_load(home: Path, make_csv: MakeCsv) -> None:
    given = [
        {"ticket_id": "1", "created_at": "2026-01-01", "subject": "Mail me", "body": "At jane.doe@example.com please"}
    ]
    load(ADMIN, make_csv(given), mapping=None)
    assert "jane.doe@example.com" in trends.ticket("1")["body"]
    run(["masked"])
    assert trends.ticket("1")["body"].startswith("At [email ")
    assert b"jane.doe" not in trends.as_csv(trends.tickets())
    assert trends.ticket("1")["subject"] == "Mail me"
    assert load(ADMIN, make_csv(given), mapping=None).unchanged == 1


def test_words_that_a_load_brings_are_shown_only_once_they_were_masked(home: Path, make_csv: MakeCsv) -> None:
    def given(number: int) -> list[dict[str, object]]:
        words = {"subject": f"Call {number}", "body": f"jane{number}@example.com"}
        return [{"ticket_id": str(number), "created_at": "2026-01-01", **words}]

    load(ADMIN, make_csv(given(1)), mapping=None)
    run(["masked"])
    for number, anew in ((2, False), (3, True)):
        load(ADMIN, make_csv(given(number)), mapping=None, replace_all=anew)
        now = trends.ticket(str(number))
        assert (now["subject"], now["body"]) == (None, view.WAITING)
        assert b"jane" not in trends.as_csv(trends.tickets())
        (job,) = enrich.due()
        assert jobs.run_here(job).state == "done"
        now = trends.ticket(str(number))
        assert now["subject"] == f"Call {number}"
        assert now["body"].startswith("[email ")


def test_after_a_load_the_worker_masks_at_once(home: Path, make_csv: MakeCsv) -> None:
    given = [{"ticket_id": "1", "created_at": "2026-01-01", "subject": "Hi", "body": "jane@example.com"}]
    load(ADMIN, make_csv(given), mapping=None)
    run(["masked"])
    more = make_csv([{**given[0], "ticket_id": "2"}])
    incoming.keep(ADMIN, "more.csv", io.BytesIO(more.read_bytes()))
    jobs.start(incoming.start(ADMIN, "more.csv", Mapping()))
    try:
        until = time.monotonic() + 30
        while count("body LIKE '[email %'") < 2 and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        jobs.stop()
    assert count("body LIKE '[email %'") == 2


def test_a_cancelled_job_leaves_no_words_behind(home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch) -> None:
    load(ADMIN, make_csv(rows(60)), mapping=None)
    monkeypatch.setattr(enrich, "BATCH", 10)
    job = enrich.create(ADMIN, ["masked"])
    seen: list[int] = []

    def stop(_job: jobs.Job) -> None:
        seen.append(len(list(enrich.folder(job).glob("*.parquet"))))
        jobs.cancel(ADMIN, job)

    assert jobs.run_here(job, watch=stop).state == "cancelled"
    assert seen == [1]
    assert not enrich.folder(job).exists()


def test_the_schedule_does_not_try_at_once_again_what_failed(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(30)), mapping=None)
    run(["language"])
    load(ADMIN, make_csv(rows(40)), mapping=None)
    (job,) = enrich.due()
    work.end_job(job, "failed", "no disk")
    assert enrich.due() == []
    load(ADMIN, make_csv(rows(50)), mapping=None)
    assert len(enrich.due()) == 1


def test_sentiment_is_refused_with_the_reason_where_too_few_tickets_are_rated(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(40)), mapping=None)
    with pytest.raises(Invalid, match="needs 300 with a rating and a text, and there are 0"):
        enrich.create(ADMIN, ["sentiment"])


def feelings(count: int, *, told: bool) -> list[dict[str, object]]:
    words = ("The answer was quick and friendly, great help", "Nobody answered and I am furious, awful service")
    return [
        {
            "ticket_id": f"T{n:05}",
            "created_at": f"2026-01-{1 + n % 28:02}",
            "subject": "Rating",
            "body": words[n % 2 if told else n // 2 % 2],
            "csat": "" if n % 5 == 4 else (5, 1)[n % 2],
        }
        for n in range(count)
    ]


def test_sentiment_is_learnt_from_rated_tickets_and_its_agreement_is_told(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(feelings(500, told=True)), mapping=None)
    run(["sentiment"])
    how = sentiment.agreement()
    assert how is not None
    assert (how.rated, how.held_back, how.used) == (400, 80, True)
    assert how.correlation >= 0.95
    assert trends.ticket("T00004")["sentiment"] > 0.5
    assert trends.ticket("T00009")["sentiment"] < -0.5


def test_words_that_tell_nothing_about_ratings_give_no_sentiment(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(feelings(500, told=False)), mapping=None)
    run(["sentiment"])
    how = sentiment.agreement()
    assert how is not None
    assert not how.used
    assert count("sentiment IS NOT NULL") == 0


def test_only_who_may_starts_it_and_only_one_at_a_time(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(40)), mapping=None)
    with pytest.raises(Refused):
        enrich.create(Actor("rita", "rep"), ["language"])
    with pytest.raises(Invalid, match="No topics were found yet"):
        enrich.create(ADMIN, ["topic"])
    enrich.create(ADMIN, ["language"])
    with pytest.raises(Conflict, match="is under way"):
        enrich.create(ADMIN, ["masked"])


KILLED = """
import sys
from workbench import jobs
from workbench.tickets import enrich
enrich.BATCH, enrich.TOGETHER = 50, 1
jobs.run_here(sys.argv[1], watch=lambda job: print(job.done, flush=True))
"""


def test_a_job_killed_in_the_middle_goes_on_without_doing_a_batch_twice_or_losing_one(
    home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ADMIN, make_csv(rows(600)), mapping=None)
    job = enrich.create(ADMIN, ["language"])
    process = subprocess.Popen([sys.executable, "-c", KILLED, job], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = 0
    while seen < 130:  # the first month is published then, and a batch of the second one is done
        seen = int(process.stdout.readline() or 10**6)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    published = {part.file for part in manifest.read().parts if part.enriched}
    waiting = {path.name: path.stat().st_mtime_ns for path in enrich.folder(job).glob("*.parquet")}
    assert published
    assert count("true") == 600
    kept = {name: (manifest.folder() / name).stat().st_ino for name in published}
    monkeypatch.setattr(enrich, "BATCH", 50)
    monkeypatch.setattr(enrich, "TOGETHER", 1)
    made: list[str] = []
    done = jobs.run_here(job, watch=lambda _job: made.extend(_again(job, waiting)))
    assert done.state == "done"
    assert made == []
    assert {name: (manifest.folder() / name).stat().st_ino for name in kept} == kept
    assert count("language_source = 'local'") == 300
    assert count("language_source = 'file'") == 300
    assert not enrich.folder(job).exists()


def test_the_parts_of_a_month_are_published_together(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["workbench.tickets.load"], "LARGE", 1 << 15)
    monkeypatch.setattr("workbench.tickets.merge.LEAST", 0)
    monkeypatch.setattr(enrich, "TOGETHER", 1)
    said = "Where is my order? I have been waiting for it for two weeks now."
    lines = [f"T{i:05},2026-0{1 + i // 1000}-01,{said}" for i in range(2000)]
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at,body", *lines, ""]))
    load(ADMIN, path, mapping=None, quick_from=0)
    assert len(manifest.read().parts) > 4
    job = enrich.create(ADMIN, ["language"])
    wanted = dict(work.open_job(job)[0]["wanted"])
    planned = enrich.shards(wanted)
    assert [sorted(set(one["months"])) for one in planned if one["do"] == "publish"] == [["2026-01"], ["2026-02"]]
    assert jobs.run_here(job).state == "done"
    assert count("language = 'en'") == 2000
    assert all(part.enriched for part in manifest.read().parts)


def _again(job: str, waiting: dict[str, int]) -> list[str]:
    """The finished batches that were written once more."""
    return [
        path.name
        for path in enrich.folder(job).glob("*.parquet")
        if path.name in waiting and path.stat().st_mtime_ns != waiting[path.name]
    ]


def test_a_load_in_the_middle_loses_nothing(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(90)), mapping=None)
    job = enrich.create(ADMIN, ["language"])
    more = make_csv(rows(120))
    loaded: list[int] = []

    def meanwhile(_job: jobs.Job) -> None:
        if not loaded:
            loaded.append(load(ADMIN, more, mapping=None).new)

    done = jobs.run_here(job, watch=meanwhile)
    assert done.state == "done"
    assert (loaded, count("true")) == ([30], 120)
    run(["language"])
    assert count("language IS NULL") == 0


def test_a_model_may_only_say_what_is_allowed() -> None:
    hostile = {
        "tickets": [
            {"n": 1, "topic": "Refunds", "sentiment": "negative"},
            {"n": 2, "topic": "'; DROP TABLE ticket; --", "sentiment": "furious"},
            {"n": 2, "topic": "Refunds", "sentiment": "neutral"},
            {"n": 99, "topic": "Refunds", "sentiment": "neutral"},
            {"n": 3, "topic": "none", "sentiment": "positive"},
        ]
    }
    used, rejected = asked.allowed(hostile, 4, {"Refunds": 7})
    assert used == {
        "1": {"topic": 7, "sentiment": -1.0},
        "2": {},
        "3": {"topic": 0, "sentiment": 1.0},
    }
    assert rejected == 5


def test_a_connected_model_is_asked_once_for_masked_tickets_after_its_cost_was_told(
    home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(30, ("2026-01",))
    given[0]["body"] = "Refund me, jane.doe@example.com"
    load(ADMIN, make_csv(given), mapping=None)
    model = TextModel(kind="topics", number=1, made_by="ada")
    topics.store_rows(ADMIN, [TopicRow(number=1, name="Refunds")], {}, model, what="a topic")
    with pytest.raises(Invalid, match="The offline model follows rules"):
        enrich.create(ADMIN, ["topic"], model=True)
    says = [{"n": n, "topic": "Refunds", "sentiment": "negative"} for n in range(1, 11)]
    script: list[Turn] = [[message(json.dumps({"tickets": says}))] for _ in range(2)]
    with serve(script) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("WORKBENCH_MODEL_SMALL", "little-1")
        told = enrich.estimate(["topic", "sentiment"])
        assert (told.model, told.tickets, told.requests, told.usd) == ("little-1", 30, 2, None)
        job = enrich.create(ADMIN, ["topic", "sentiment"], model=True)
        assert jobs.run_here(job).state == "done"
        sent = json.dumps(server.asked)
        assert "jane.doe" not in sent
        assert "[email " in sent
        assert len(server.asked) == 2
        with pytest.raises(Invalid, match="Nothing is left for this model to find"):
            enrich.create(ADMIN, ["topic"], model=True)
    assert asked.came_to(job).rejected == 10
    assert count("topic = 'Refunds' AND topic_source = 'model'") == 20
    assert count("sentiment = -1 AND sentiment_source = 'model'") == 20


def test_a_model_is_asked_once_about_tickets_with_the_same_words_and_never_about_none(
    home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(130, ("2026-01",))
    for n, one in enumerate(given):
        one |= {"subject": "", "body": "" if n < 60 else "I want my money back."}
    load(ADMIN, make_csv(given), mapping=None)
    topics.store_rows(
        ADMIN,
        [TopicRow(number=1, name="Refunds")],
        {},
        TextModel(kind="topics", number=1, made_by="ada"),
        what="a topic",
    )
    says = {"tickets": [{"n": 1, "topic": "Refunds", "sentiment": "negative"}]}
    with serve([[message(json.dumps(says))] for _ in range(9)]) as server:
        connect(monkeypatch, server.url)
        done = jobs.run_here(enrich.create(ADMIN, ["topic", "sentiment"], model=True))
        assert (done.state, len(server.asked)) == ("done", 1)
        assert enrich.estimate(["topic"]).tickets == 0
    assert count("topic = 'Refunds' AND sentiment = -1") == 70


def test_after_topics_changed_the_model_can_be_asked_again(
    home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ADMIN, make_csv(rows(20, ("2026-01",))), mapping=None)
    topics.store_rows(
        ADMIN,
        [TopicRow(number=1, name="Refunds")],
        {},
        TextModel(kind="topics", number=1, made_by="ada"),
        what="a topic",
    )
    says = {"tickets": [{"n": n, "topic": "Refunds", "sentiment": "neutral"} for n in range(1, 21)]}
    with serve([[message(json.dumps(says))]]) as server:
        connect(monkeypatch, server.url)
        assert jobs.run_here(enrich.create(ADMIN, ["topic"], model=True)).state == "done"
        assert enrich.estimate(["topic"]).tickets == 0
        more = TextModel(kind="topics", number=2, made_by="ada")
        topics.store_rows(
            ADMIN, [TopicRow(number=2, name="Delays")], {1: {"state": "retired"}}, more, what="found again"
        )
        assert enrich.estimate(["topic"]).tickets == 20


def test_a_rule_of_masking_that_changed_is_applied_anew(
    home: Path, make_csv: MakeCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ADMIN, make_csv(rows(40)), mapping=None)
    monkeypatch.setenv("WORKBENCH_REDACT_PATTERNS", json.dumps({"badge": "B-[0-9]{4}"}))
    run(["masked"])
    monkeypatch.setenv("WORKBENCH_REDACT_PATTERNS", json.dumps({"badge": "Frage [0-9]{1,4}"}))
    (job,) = enrich.due()
    assert jobs.run_here(job).state == "done"
    assert count("subject LIKE 'Frage%'") == 0


def test_two_people_who_start_at_the_same_moment_start_one_job(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(120)), mapping=None)
    came: list[str] = []

    def start() -> None:
        try:
            came.append(discover.start(ADMIN, 2))
        except Conflict as why:
            came.append(why.message)

    together(4, start)
    assert sorted(one == "“Finding topics” is under way." for one in came) == [False, True, True, True]


def connect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("WORKBENCH_MODEL_SMALL", "little-1")


def test_the_command_finds_and_answers_in_json(home: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(rows(40)), mapping=None)
    told = look("tickets", "enrich", "language")
    assert {"kind": "language", "file": 20, "found": 20, "pending": 0} in told
    bad = here("tickets", "enrich", "mood")
    assert bad.code == 2
    assert "Nothing is known of 'mood'." in bad.err
    assert here("tickets", "topics", "list").out == "No topics yet.\n"
