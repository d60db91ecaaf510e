"""Topics found in tickets' words: they agree with what is known, stay what people made of them, and add up."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from tests.once import together
from tests.tickets.files import ADMIN, MakeCsv, parts
from workbench import access, jobs, store
from workbench.access import audit
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.store.tables import TextModel, TopicRow
from workbench.tickets import (
    assign,
    discover,
    enrich,
    load,
    manifest,
    measure,
    metrics,
    publish,
    rollups,
    source,
    topic_figures,
    topics,
    trends,
)
from workbench.tickets import seed as samples

REP = access.Actor("rita", "rep")
UNTIL = dt.date(2026, 3, 31)
COUNT = 48


@pytest.fixture(scope="module")
def found_home(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    """A home with sample tickets and topics found in them, made once; copy it before changing it."""
    made = tmp_path_factory.mktemp("found") / "home"
    (made / "local").mkdir(parents=True)
    shutil.copy(empty_file, made / "local" / "workbench.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(made))
        patch.delenv("WORKBENCH_DATABASE_URL", raising=False)
        samples.generate(1200, 60, until=UNTIL).drop(columns=["attributes"]).to_csv(made / "t.csv", index=False)
        load(ADMIN, made / "t.csv", mapping=None)
        assert jobs.run_here(discover.start(ADMIN, COUNT)).state == "done"
        store.dispose()
    return made


@pytest.fixture
def found(found_home: Path, home: Path) -> Iterator[Path]:
    """This test's own copy of it."""
    shutil.rmtree(home)
    shutil.copytree(found_home, home)
    yield home


def shown() -> dict[str, int]:
    """How many tickets each topic has."""
    rows = source.records("SELECT found_topic AS topic, count(*) AS n FROM ticket GROUP BY 1")
    return {str(row["topic"]): int(row["n"]) for row in rows}


def first(number: int = 0) -> topics.Topic:
    """A topic at the top, the largest first."""
    return sorted(topics.tree(), key=lambda one: (-one.tickets, one.number))[number]


def test_topics_found_in_the_samples_agree_with_the_known_ones(found: Path) -> None:
    rows = source.records("SELECT topic, coalesce(found_topic, '') AS found FROM ticket")
    known, told = [row["topic"] for row in rows], [row["found"] for row in rows]
    assert normalized_mutual_info_score(known, told) >= 0.7
    assert told.count("") <= 0.05 * len(told)


def test_one_topic_holds_the_tickets_of_several_languages(found: Path) -> None:
    spoken = source.records("SELECT found_topic, count(DISTINCT language) AS n FROM ticket GROUP BY 1")
    assert max(row["n"] for row in spoken) >= 3


def test_the_tickets_of_all_topics_add_up_to_all_tickets_and_their_shares_to_the_whole(found: Path) -> None:
    frame = topic_figures.figures(trends.Filters())
    assert int(frame["tickets"].sum()) == 1200
    assert frame["share"].sum() == pytest.approx(100)
    told = {row["topic"]: row["csat"] for _, row in frame.iterrows()}
    direct = source.records(
        "SELECT coalesce(found_topic, 'No topic') AS topic, avg(csat) AS csat FROM ticket GROUP BY 1 HAVING count(csat) > 0"
    )
    assert all(told[row["topic"]] == pytest.approx(row["csat"]) for row in direct)


def test_finding_topics_again_in_the_same_tickets_keeps_every_number_name_and_merge(found: Path) -> None:
    one, two, three = first(0), first(1), first(2)
    topics.rename(ADMIN, one.number, "Ours")
    topics.merge(ADMIN, two.number, three.number)
    before, names = shown(), {topic.number: topic.name for topic in topics.every()}
    assert jobs.run_here(discover.start(ADMIN, COUNT)).state == "done"
    assert {topic.number: topic.name for topic in topics.every()} == names
    assert [topic.state for topic in topics.every()] == ["live"] * len(names)
    assert shown() == before
    assert before["Ours"] > 0
    assert two.name not in before


def test_topics_can_be_found_again_and_keep_their_names_where_the_file_that_tells_them_is_gone(found: Path) -> None:
    one, names = first(), {topic.name for topic in topics.tree()}
    topics.rename(ADMIN, one.number, "Ours")
    latest = topics.newest()
    assert latest is not None
    topics.file("topics", latest.number).unlink()
    done = jobs.run_here(discover.start(ADMIN, COUNT))
    assert (done.state, done.message) == ("done", "")
    assert shown()["Ours"] > 0
    assert len(names & {topic.name for topic in topics.tree()}) >= 0.9 * (len(names) - 1)


def test_a_new_name_shows_at_once_and_rewrites_no_file(found: Path) -> None:
    one, files = first(), parts()
    before = shown()[one.name]
    topics.rename(ADMIN, one.number, "  Parcels   on the way ")
    assert shown()["Parcels on the way"] == before
    assert parts() == files
    entry = audit.newest(1)[0]
    assert (entry.actor, entry.verb) == ("ada", "edit topics")
    assert f"renamed “{one.name}” to “Parcels on the way”" in entry.thing
    assert audit.verify().intact


def test_rollups_and_tickets_give_the_same_figures_of_topics_before_and_after_a_new_name(found: Path) -> None:
    for part in manifest.read().parts:
        path = manifest.folder() / part.file
        rollups.write(path, manifest.rollup(path), enriched=part.enriched)
    topics.rename(ADMIN, first().number, "Renamed")
    assert rollups.name(("found_topic", "found_subtopic")) in source.cubes()
    asked = [
        measure.Asked(dt.date(2026, 2, 1), UNTIL, by=("found_topic",), exact=True, tickets_only=only)
        for only in (False, True)
    ]
    names = [metrics.get(name) for name in ("volume", "csat", "reopened")]
    quick, slow = (
        {(row["metric"], row["found_topic"]): (row["value"], row["n"]) for row in measure.measure(names, one).rows}
        for one in asked
    )
    assert quick == slow
    assert ("volume", "Renamed") in quick


def test_a_topic_under_another_is_its_subtopic(found: Path) -> None:
    above, below = first(0), first(1)
    together = shown()[above.name] + shown()[below.name]
    topics.move(ADMIN, below.number, above.number)
    assert shown()[above.name] == together
    fine = source.records("SELECT count(*) AS n FROM ticket WHERE found_subtopic = $name", {"name": below.name})
    assert 0 < fine[0]["n"] < together
    with pytest.raises(Invalid, match="has topics below it"):
        topics.move(ADMIN, above.number, first(2).number)
    with pytest.raises(Invalid, match="below it"):
        topics.merge(ADMIN, above.number, below.number)


def test_what_may_not_be_is_refused_with_the_reason(found: Path) -> None:
    one, two = first(0), first(1)
    with pytest.raises(Refused):
        topics.rename(REP, one.number, "Mine")
    with pytest.raises(Invalid, match="There is a topic called"):
        topics.rename(ADMIN, one.number, two.name.upper())
    with pytest.raises(Invalid, match="1 to 80 characters"):
        topics.rename(ADMIN, one.number, " \n ")
    with pytest.raises(NotFound):
        topics.rename(ADMIN, 9999, "Nobody")
    topics.rename(ADMIN, one.number, "Once")
    change = topics.history(1)[0].id
    topics.rename(ADMIN, one.number, "Twice")
    with pytest.raises(Conflict, match="changed again since"):
        topics.undo(ADMIN, change)


def test_no_two_topics_that_tickets_have_are_called_alike(found: Path) -> None:
    one, two = first(0), first(1)
    topics.remove(ADMIN, one.number)
    gone = topics.history(1)[0].id
    topics.rename(ADMIN, two.number, one.name)
    with pytest.raises(Invalid, match="There is a topic called"):
        topics.undo(ADMIN, gone)
    for name in ("(none)", "No topic"):
        with pytest.raises(Invalid, match="Tickets without a topic"):
            topics.rename(ADMIN, two.number, name)


def test_a_topic_whose_subtopics_were_all_removed_can_be_moved(found: Path) -> None:
    one, two, three = first(0), first(1), first(2)
    topics.move(ADMIN, two.number, one.number)
    topics.remove(ADMIN, two.number)
    topics.move(ADMIN, one.number, three.number)
    assert topics.topic(one.number).parent == three.number
    topics.undo(ADMIN)
    topics.undo(ADMIN)
    assert topics.topic(two.number).parent == one.number


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(["rename", "merge", "move", "remove"]), st.integers(0, 9), st.integers(0, 9)),
                min_size=1, max_size=4))  # fmt: skip
def test_changes_and_then_undoing_them_is_as_if_nothing_had_been(
    found: Path, steps: list[tuple[str, int, int]]
) -> None:
    before, made = topics.shown(topics.every()), 0
    numbers = [one.number for one in topics.every()][:10]
    for what, at, other in steps:
        try:
            if what == "rename":
                topics.rename(ADMIN, numbers[at], f"Name {at} {other}")
            elif what == "merge":
                topics.merge(ADMIN, numbers[at], numbers[other])
            elif what == "move":
                topics.move(ADMIN, numbers[at], numbers[other])
            else:
                topics.remove(ADMIN, numbers[at])
            made += 1
        except Invalid:
            continue
    for _ in range(made):
        topics.undo(ADMIN)
    assert topics.shown(topics.every()) == before
    assert manifest.read().topics == before


def test_a_topic_is_split_and_its_pieces_hold_its_tickets(found: Path) -> None:
    one = first()
    before, names = shown()[one.name], set(shown())
    assert jobs.run_here(discover.split(ADMIN, one.number)).state == "done"
    pieces = [topic for topic in topics.tree() if topic.parent == one.number]
    assert len(pieces) == 2
    assert shown()[one.name] == before
    assert set(shown()) == names
    fine = source.records(
        "SELECT found_subtopic, count(*) AS n FROM ticket WHERE found_subtopic IS NOT NULL GROUP BY 1"
    )
    assert [row["n"] > 0 for row in fine] == [True, True]
    topics.undo(ADMIN)
    assert not [topic for topic in topics.tree() if topic.parent == one.number]
    assert shown()[one.name] == before


def drones(count: int) -> list[dict[str, str]]:
    """Tickets about something that was never there before."""
    says = (
        "My drone lost a propeller mid flight",
        "Drone propeller cracked while hovering",
        "Hovering drone drifts badly",
    )
    where = ("over the garden pond", "near the stadium roof", "above a vineyard hill")
    return [
        {
            "ticket_id": f"D{n}",
            "created_at": f"2026-03-{20 + n % 10}T10:{n % 60:02}:00Z",
            "subject": says[n % 3],
            "body": f"{says[(n + 1) % 3]} {where[n % 3]}, gimbal wobbles, propeller guard broke.",
        }
        for n in range(count)
    ]


def test_tickets_about_something_new_are_proposed_as_a_topic_and_belong_to_it_once_accepted(
    found: Path, make_csv: MakeCsv
) -> None:
    load(ADMIN, make_csv(drones(130)), mapping=None)
    assert jobs.run_here(enrich.create(ADMIN, ["topic"])).done == 130
    assert source.records("SELECT count(*) AS n FROM ticket WHERE ticket_id LIKE 'D%' AND found_topic IS NULL") == [
        {"n": 130}
    ]
    proposed = discover.propose(ADMIN)
    assert {"drone", "propeller"} & {term for one in proposed for term in one.terms}
    assert sum(one.tickets for one in proposed) >= 60
    assert {one.name for one in proposed}.isdisjoint(shown())
    one = max(proposed, key=lambda each: each.tickets)
    assert jobs.run_here(discover.accept(ADMIN, one.number)).state == "done"
    sql = "SELECT ticket_id[1] AS kind, count(*) AS n FROM ticket WHERE found_topic = $name GROUP BY 1"
    rows = source.records(sql, {"name": one.name})
    told = {row["kind"]: row["n"] for row in rows}
    assert told["D"] >= one.tickets
    assert told.get("T", 0) == 0
    assert topics.history(1)[0].what == f"accepted “{one.name}”"
    topics.undo(ADMIN)
    assert one.number in {each.number for each in topics.proposals()}
    assert one.name not in shown()


def test_what_was_declined_is_not_proposed_by_a_refit_again(found: Path, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(drones(200)), mapping=None)
    jobs.run_here(enrich.create(ADMIN, ["topic"]))
    proposed = discover.propose(ADMIN)
    for one in proposed:
        topics.remove(ADMIN, one.number)
    before = {one.number for one in topics.every()}
    assert jobs.run_here(discover.start(ADMIN, COUNT)).state == "done"
    declined = {one.terms[0] for one in proposed}
    fresh = [one for one in topics.proposals() if one.number not in before]
    assert [one.name for one in fresh if declined & set(one.terms[:3])] == []
    about = [one for one in topics.every() if "propeller" in one.terms[:3]]
    assert {one.state for one in about} == {"removed"}
    assert "T" in {row["kind"] for row in source.records("SELECT ticket_id[1] AS kind FROM ticket GROUP BY 1")}


def test_two_people_who_look_for_new_topics_at_once_propose_each_once_and_nothing_is_said_of_a_growth_from_none(
    found: Path, make_csv: MakeCsv
) -> None:
    load(ADMIN, make_csv(drones(130)), mapping=None)
    jobs.run_here(enrich.create(ADMIN, ["topic"]))
    came: list[str] = []

    def look() -> None:
        try:
            discover.propose(ADMIN)
            came.append("proposed")
        except Conflict as why:
            came.append(why.message)

    together(2, look)
    assert "proposed" in came
    assert {*came} <= {"proposed", "Other topics were found meanwhile."}
    proposed = topics.proposals()
    assert len({one.name for one in proposed}) == len(proposed) >= 1
    assert {one.growth for one in proposed} == {None}


def test_tickets_that_have_nothing_in_common_are_not_proposed(found: Path, make_csv: MakeCsv) -> None:
    rng = random.Random(5)  # noqa: S311 — words without a meaning
    syllables = ["ba", "ko", "ri", "mu", "te", "lo", "sa", "ni", "fe", "du", "wo", "zi"]
    words = ["".join(rng.choices(syllables, k=3)) for _ in range(400)]
    rows = [
        {
            "ticket_id": f"N{n}",
            "created_at": f"2026-03-{20 + n % 10}T10:00:00Z",
            "subject": " ".join(rng.choices(words, k=4)),
            "body": " ".join(rng.choices(words, k=12)),
        }
        for n in range(150)
    ]
    load(ADMIN, make_csv(rows), mapping=None)
    jobs.run_here(enrich.create(ADMIN, ["topic"]))
    assert discover.propose(ADMIN) == []


@pytest.mark.postgres
def test_topics_are_kept_changed_and_undone_in_either_database(database: str, make_csv: MakeCsv) -> None:
    load(ADMIN, make_csv(drones(3)), mapping=None)
    rows = [TopicRow(number=n, name=name, terms=[name]) for n, name in enumerate(("Rotors", "Gimbals", "Bags"), 1)]
    topics.store_rows(ADMIN, rows, {}, TextModel(kind="topics", number=1, made_by="ada"), what="found topics")
    topics.merge(ADMIN, 2, 1)
    topics.move(ADMIN, 3, 1)
    assert manifest.read().topics == (("Rotors", None), ("Rotors", None), ("Rotors", "Bags"))
    assert topics.members(1) == [1, 2, 3]
    assert [topics.undo(ADMIN), topics.undo(ADMIN)] == ["moved “Bags” under “Rotors”", "merged “Gimbals” into “Rotors”"]
    assert manifest.read().topics == (("Rotors", None), ("Gimbals", None), ("Bags", None))
    assert [one.undone for one in topics.history()] == [True, True]


def by_id(ticket_id: str) -> tuple[object, ...]:
    """A ticket's topic, subtopic, where the topic comes from, and the topic found."""
    row = trends.ticket(ticket_id)
    return row["topic"], row["subtopic"], row["topic_source"], row["found_topic"]


def test_what_a_person_sets_counts_everywhere_holds_over_refits_and_loads_and_is_undone(found: Path) -> None:
    here, there = first(0), first(1)
    ticket_id = here.examples[0]
    before, counts = by_id(ticket_id), shown()
    assign.assign(ADMIN, ticket_id, there.number)
    assert by_id(ticket_id) == (there.name, None, "person", there.name)
    assert shown() == {**counts, here.name: counts[here.name] - 1, there.name: counts[there.name] + 1}
    assert trends.query("volume", where={"topic": [there.name]}).rows[0]["value"] == 1
    assert topics.history(1)[0].what == f"put ticket {ticket_id} under “{there.name}”"
    assert audit.newest(1)[0].detail["ticket"] == ticket_id
    with pytest.raises(Invalid, match="already"):
        assign.assign(ADMIN, ticket_id, there.number)
    with pytest.raises(Refused):
        assign.assign(REP, ticket_id, here.number)
    with pytest.raises(NotFound, match="There is no ticket T-0"):
        assign.assign(ADMIN, "T-0", here.number)

    assert jobs.run_here(discover.start(ADMIN, COUNT - 8)).state == "done"
    assert by_id(ticket_id)[2:] == ("person", there.name)
    assert there.number in {one.number for one in topics.tree()}
    load(ADMIN, found / "t.csv", mapping=None, replace_all=True)
    assert by_id(ticket_id)[2] == "file"
    publish.undo(ADMIN)
    assert by_id(ticket_id)[2:] == ("person", there.name)
    load(ADMIN, found / "t.csv", mapping=None, replace_all=True)
    jobs.run_here(enrich.create(ADMIN, ["topic"]))
    assert by_id(ticket_id)[2:] == ("person", there.name)

    assert topics.undo(ADMIN) == f"put ticket {ticket_id} under “{there.name}”"
    assert by_id(ticket_id)[:3] == before[:3]
    assert assign.last(ticket_id) is None


def test_what_a_person_sets_after_a_load_holds_also_when_the_load_is_undone(found: Path, make_csv: MakeCsv) -> None:
    ticket_id, there = first().examples[0], first(1)
    load(
        ADMIN,
        make_csv([{"ticket_id": ticket_id, "created_at": "2026-03-30T10:00:00Z", "subject": "New"}]),
        mapping=None,
    )
    assign.assign(ADMIN, ticket_id, there.number)
    publish.undo(ADMIN)
    assert by_id(ticket_id)[2:] == ("person", there.name)
    topics.undo(ADMIN)
    jobs.run_here(enrich.create(ADMIN, ["topic"]))
    assert by_id(ticket_id)[3] == first().name


def test_of_two_words_on_one_ticket_the_later_is_undone_first(found: Path) -> None:
    ticket_id = first().examples[0]
    assign.assign(ADMIN, ticket_id, first(1).number)
    (one,) = topics.history(1)
    assign.assign(ADMIN, ticket_id, assign.NO_TOPIC)
    assert by_id(ticket_id)[3] is None
    with pytest.raises(Conflict, match="was set again since"):
        topics.undo(ADMIN, one.id)
    topics.undo(ADMIN)
    assert by_id(ticket_id)[3] == first(1).name
    topics.undo(ADMIN)
    assert by_id(ticket_id)[3] == first().name
