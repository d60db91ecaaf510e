"""Loading under bad conditions: nothing is lost, the message is clear, and the old tickets are served."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from tests.tickets.files import ADMIN, MakeCsv, parts, stored, write
from workbench import access, settings
from workbench.errors import Conflict, Invalid, NotFound, Refused
from workbench.tickets import load, manifest, mapping, publish, source, trends

HEAD = "ticket_id,created_at,topic,updated_at\n"
LINE_MB = int(os.environ.get("WORKBENCH_TEST_LINE_MB", "12"))
"""Megabytes of the line that is too long; 1024 for the full size."""

pytestmark = pytest.mark.usefixtures("home")


def csv(path: Path, *rows: str) -> Path:
    return write(path, HEAD + "".join(f"{row}\n" for row in rows))


def topics() -> dict[str, str]:
    return dict(stored()[["ticket_id", "topic"]].itertuples(index=False))


def command(*arguments: str | Path, limit: int = 0) -> subprocess.Popen[str]:
    """`tickets …` in a process of its own, which may write files of at most `limit` bytes where one is given."""
    lower = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", "tickets", *map(str, arguments)],
        cwd=settings.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lower,
    )


def test_a_second_file_joins_and_only_the_months_it_touches_are_written_anew(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,", "2,2026-02-05,App,", "3,2026-03-05,App,"), mapping=None)
    before = {part.name for part in parts()}
    loaded = load(ADMIN, csv(tmp_path / "b.csv", "2,2026-02-05,Refunds,", "4,2026-02-06,App,"), mapping=None)
    assert (loaded.new, loaded.changed, loaded.total) == (1, 1, 4)
    assert topics() == {"1": "App", "2": "Refunds", "3": "App", "4": "App"}
    assert [part.name for part in parts() if part.name not in before] == [parts()[1].name]
    assert trends.query("volume").rows[0]["value"] == 4


def test_loading_the_same_file_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "1,2026-01-05,App,2026-01-06", "2,2026-02-05,App,")
    load(ADMIN, path, mapping=None)
    before = parts()
    again = load(ADMIN, path, mapping=None)
    assert (again.new, again.changed, again.unchanged, again.total) == (0, 0, 2, 2)
    assert parts() == before
    assert [one.source for one in manifest.read().loads] == ["a.csv", "a.csv"]


def test_an_update_that_is_older_than_what_is_there_does_not_count(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,New,2026-01-09T10:00:00Z"), mapping=None)
    late = load(ADMIN, csv(tmp_path / "b.csv", "1,2026-01-05,Old,2026-01-08T10:00:00Z"), mapping=None)
    assert (late.older, late.changed) == (1, 0)
    assert topics() == {"1": "New"}


def test_of_repeated_ids_in_a_file_the_one_updated_last_counts(tmp_path: Path) -> None:
    rows = ("1,2026-01-05,Second,2026-01-09", "1,2026-01-05,First,2026-01-08", "1,2026-01-05,None,")
    loaded = load(ADMIN, csv(tmp_path / "a.csv", *rows), mapping=None)
    assert (loaded.rows, loaded.duplicates, topics()) == (1, 2, {"1": "Second"})


def test_a_ticket_whose_creation_was_corrected_moves_to_its_month(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,", "2,2026-02-05,App,"), mapping=None)
    load(ADMIN, csv(tmp_path / "b.csv", "1,2026-02-07,App,"), mapping=None)
    assert [(part.month, part.rows) for part in manifest.read().parts] == [("2026-02", 2)]


def test_the_last_load_can_be_undone_once(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    with pytest.raises(NotFound, match="no load that can be undone"):
        publish.undo(ADMIN)
    load(ADMIN, csv(tmp_path / "b.csv", "1,2026-01-05,Wrong,", "2,2026-02-05,Wrong,"), mapping=None)
    with pytest.raises(Refused):
        publish.undo(access.Actor("rita", "rep"))
    assert publish.undo(ADMIN).source == "b.csv"
    assert topics() == {"1": "App"}
    assert trends.freshness().source == "a.csv"
    assert [one.undone for one in manifest.read().loads] == [False, True]
    assert access.audit.newest()[0].detail == {"undone": manifest.read().loads[-1].id}
    with pytest.raises(NotFound):
        publish.undo(ADMIN)
    assert load(ADMIN, tmp_path / "b.csv", mapping=None).total == 2


def test_real_tickets_take_the_place_of_sample_ones(tmp_path: Path) -> None:
    from workbench.tickets import seed as samples

    samples.seed(ADMIN, count=50, days=40)
    loaded = load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    assert (loaded.replaced, loaded.total, topics()) == (True, 1, {"1": "App"})


def test_a_home_with_one_old_file_opens_and_is_split_by_the_first_load(tmp_path: Path, make_csv: MakeCsv) -> None:
    folder = settings.load().tickets
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,", "2,2026-02-05,App,"), mapping=None)
    with duckdb.connect(":memory:") as connection:
        query = "COPY (SELECT * EXCLUDE updated_at FROM read_parquet(?)) TO '" + str(folder / "tickets.parquet") + "'"
        connection.execute(query, [[str(part) for part in parts()]])
    (folder / "manifest.json").unlink()
    about = {"source": "old.csv", "loaded_at": "2026-03-01T00:00:00+00:00", "rows": 2, "rejected": 0, "duplicates": 0}
    write(folder / "meta.json", json.dumps({**about, "sha256": "x"}))
    assert trends.freshness().source == "old.csv"
    assert trends.query("volume").rows[0]["value"] == 2
    assert load(ADMIN, csv(tmp_path / "b.csv", "2,2026-02-05,Refunds,"), mapping=None).total == 2
    assert topics() == {"1": "App", "2": "Refunds"}
    assert [part.month for part in manifest.read().parts] == ["2026-01", "2026-02"]


def test_two_loaders_at_once_lose_nothing(tmp_path: Path) -> None:
    files = [csv(tmp_path / f"{n}.csv", *(f"{n}-{i},2026-01-05,App," for i in range(200))) for n in range(2)]
    both = [command("load", file, "--json") for file in files]
    ended = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [0, 0], ended
    assert len(stored()) == 400
    assert sorted(json.loads(out)["total"] for out, _ in ended) == [200, 400]


def test_a_loader_that_waits_too_long_is_told_of_the_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "PATIENCE", 0.1)
    with publish.writing(), pytest.raises(Conflict, match="Somebody else is loading tickets"):
        load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    assert not manifest.exists()


def test_a_killed_loader_leaves_the_old_tickets_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    large = csv(tmp_path / "b.csv", *(f"x{i},2026-0{1 + i % 9}-05,Wrong," for i in range(60_000)))
    process = command("load", large)
    while process.poll() is None and not list(settings.load().tickets.glob(".staging-*/rows-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert topics() == {"1": "App"}
    assert list(settings.load().tickets.glob(".staging-*"))
    assert load(ADMIN, csv(tmp_path / "c.csv", "2,2026-02-05,App,"), mapping=None).total == 2
    assert not list(settings.load().tickets.glob(".staging-*"))


def test_a_full_disk_is_said_and_the_old_tickets_are_kept(tmp_path: Path) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    large = csv(tmp_path / "b.csv", *(f"x{i},2026-01-05,{i * 7919},2026-02-01" for i in range(60_000)))
    process = command("load", large, limit=200_000)
    _out, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "The tickets cannot be written to" in err
    assert "The current tickets were kept" in err
    assert topics() == {"1": "App"}
    assert {path.suffix for path in settings.load().tickets.iterdir()} == {".parquet", ".json", ""}


def test_others_read_whole_tickets_while_they_are_changed(tmp_path: Path) -> None:
    files = [csv(tmp_path / f"{n}.csv", *(f"{i},2026-0{1 + i % 3}-05,T{n}," for i in range(30))) for n in range(5)]
    load(ADMIN, files[0], mapping=None)
    seen: set[tuple[int, int]] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            found = source.fetch("SELECT count(*) AS n, count(DISTINCT topic) AS t FROM ticket")
            seen.add((int(found["n"].iloc[0]), int(found["t"].iloc[0])))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for file in files[1:]:
        load(ADMIN, file, mapping=None)
    ended.set()
    watcher.join()
    assert seen == {(30, 1)}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_file_in_another_encoding_is_read_when_the_mapping_names_it(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "t.csv", (HEAD + '1,2026-01-05,"Réclamé, “urgent”",\n').encode(encoding))
    load(ADMIN, path, mapping=mapping.parse({"encoding": encoding}), quick_from=0)
    assert topics() == {"1": "Réclamé, “urgent”"}


def test_lines_in_mixed_encodings_are_kept_out_with_their_lines(tmp_path: Path) -> None:
    text = HEAD.encode() + "1,2026-01-05,Café,\n".encode() + "2,2026-01-05,Café,\n".encode("cp1252")
    loaded = load(ADMIN, write(tmp_path / "t.csv", text), mapping=None, quick_from=0)
    assert (topics(), [one.line for one in loaded.rejects]) == ({"1": "Café"}, [3])


def test_a_header_that_changed_since_the_mapping_was_made_is_named(tmp_path: Path) -> None:
    how = mapping.parse({"columns": {"topic": "Category"}})
    load(ADMIN, write(tmp_path / "a.csv", "ticket_id,created_at,Category\n1,2026-01-05,App\n"), mapping=how)
    with pytest.raises(Invalid, match=r"takes topic from 'Category', which b\.csv does not have"):
        load(ADMIN, write(tmp_path / "b.csv", "ticket_id,created_at,Categories\n2,2026-01-05,App\n"), mapping=how)
    assert topics() == {"1": "App"}


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,"), mapping=None)
    first = HEAD if name == "t.csv" else '{"ticket_id": "2", "created_at": "2026-01-05"}\n'
    path = write(tmp_path / name, first)
    with path.open("r+b") as handle:
        handle.truncate(LINE_MB << 20)
    if name == "t.csv":
        with pytest.raises(Invalid, match=r"Line 2 of t\.csv is longer than 4 MB"):
            load(ADMIN, path, mapping=None)
        assert topics() == {"1": "App"}
    else:
        rejects = load(ADMIN, path, mapping=None).rejects
        assert [(one.line, one.reason) for one in rejects] == [(2, "the line is longer than 4 MB")]


def test_every_rejected_row_is_kept_with_line_reason_and_text(tmp_path: Path) -> None:
    long = "x" * 5000
    loaded = load(ADMIN, csv(tmp_path / "a.csv", "1,2026-01-05,App,", f"2,never,{long},"), mapping=None)
    assert loaded.rejects_file is not None
    assert long in loaded.rejects_file.read_text()
    assert loaded.rejects_file.read_text().startswith("line,reason,text\n3,")
