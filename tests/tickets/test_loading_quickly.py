"""The quick way of large CSV files and the careful way of small ones give the same tickets and the same rejects."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.tickets.files import ADMIN, parts, stored, write
from workbench.tickets import Loaded, load, manifest, mapping

HEAD = "ticket_id,created_at,resolved_at,reopened,csat,sentiment,topic,body,Plan,updated_at\n"
TIMES: tuple[str, ...] = (
    "2026-03-05T14:30:00Z",
    "2026-10-25 02:30",
    "2026-03-29T02:30:00",
    "2026-01-01",
    "2026-1-1",
    "2026-01-01  9:00:00",
)
TIMES += (
    "2026-07-01T12:00:00+02:00",
    "2026-07-01 12:00:00.123Z",
    "1969-12-31",
    "2101-01-01",
    "",
    "never",
    "2026-02-30",
)
NUMBERS = ("4", "4.0", "", "9", " 3", "1_0", "nan", "-0", ".5", "5.", "0x1", "1e0", "+2")
WORDS: tuple[str, ...] = (
    "Refunds",
    " Refunds",
    "Réclamé ",
    "x\u00a0",
    "\u3000y",
    "",
    " ",
    "P1",
    '"a ""b"""',
    '"two\nlines"',
    '"two\r\nlines "',
)
WORDS += ("\u2028", "€", "ends…", "\x1f", "/", "tab\there", "日本語", "\u0085", "'", "\\")

value = st.tuples(
    st.sampled_from(("1", "2", "3", "4", "5", "6", "", " 7 ", "é")),
    st.sampled_from(TIMES),
    st.sampled_from(TIMES),
    st.sampled_from(("yes", "no", "TRUE", "", "maybe", " y", "0")),
    st.sampled_from(NUMBERS),
    st.sampled_from((*NUMBERS, "positive", "NEGATIVE")),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(TIMES),
).map(",".join)
odd = st.sampled_from(
    (
        "",
        "8,2026-01-01",
        '9,2026-01-01,,,,,,"never closed,,',
        '5" pipe,2026-01-01,,,,,,,,',
        'a,b,c,d,e,f,g,"h\ni"',
        "\0,,,,,,,,,",
    )
)
end = st.sampled_from(("\n", "\r\n"))
body = st.lists(st.tuples(st.one_of(value, value, value, value, odd), end).map("".join), min_size=1, max_size=9).map(
    "".join
)


@given(text=body, zone=st.sampled_from(("UTC", "Europe/Berlin")), raw=st.sampled_from((b"", b"\xff,,,,,,,,,\n")))
@hypothesis_settings(
    max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.usefixtures("home")
def test_both_ways_give_the_same_tickets_and_the_same_rejects(text: str, zone: str, raw: bytes) -> None:
    how = mapping.parse({"timezone": zone, "values": {"topic": {"P1": "urgent"}, "csat": {"9": "1"}}})
    with tempfile.TemporaryDirectory() as folder:
        good = "Z,2026-01-01,,,,,,,,\n"
        path = write(Path(folder) / "t.csv", (HEAD + good + text).encode() + raw)
        found = [_load(path, how, quick_from) for quick_from in (1 << 20, 0)]
    (slowly, tickets), (quickly, same) = found
    assert quickly.rejects == slowly.rejects
    assert (quickly.rows, quickly.duplicates, quickly.lines) == (slowly.rows, slowly.duplicates, slowly.lines)
    pd.testing.assert_frame_equal(same, tickets)


@pytest.mark.parametrize("last", ["", "T050000,2026-03-01", "T000001,2026-01-01"], ids=["in order", "late", "twice"])
@pytest.mark.usefixtures("home")
def test_a_part_is_sorted_by_creation_and_id_however_the_file_is(tmp_path: Path, last: str) -> None:
    rows = [f"T{i + (1 if i % 2 == 0 else -1) * bool(last):06},2026-{1 + i // 20000:02}-01" for i in range(40000)]
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at", *rows, last]))
    loaded, found = _load(path, mapping.Mapping(), 0)
    assert (loaded.rows, loaded.duplicates) == {"": (40000, 0), "T050000,2026-03-01": (40001, 0)}.get(last, (40000, 1))
    for part in parts():
        keys = pd.read_parquet(part, columns=["created_at", "ticket_id"]).itertuples(index=False, name=None)
        assert (listed := list(keys)) == sorted(listed)
    assert not found["ticket_id"].duplicated().any()


def _load(path: Path, how: mapping.Mapping, quick_from: int) -> tuple[Loaded, pd.DataFrame]:
    loaded = load(ADMIN, path, mapping=how, replace_all=True, quick_from=quick_from)
    return loaded, stored()


@pytest.mark.usefixtures("home")
def test_a_file_in_order_is_cut_into_parts_of_a_month_whatever_its_first_lines_say(tmp_path: Path) -> None:
    rows = [f"T{i:06},2026-{1 + i // 3000:02}-01,{'word ' * 40}" for i in range(12000)]
    rows[0] = "T000000,2026-01-01"
    rows[6000] = "T006000,soon,"
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at,body", *rows, ""]))
    loaded, found = _load(path, mapping.Mapping(), 1 << 20)
    assert [(one.line, one.reason) for one in loaded.rejects] == [
        (2, "2 values instead of 3"),
        (6002, "created_at 'soon' is not a time written as 2026-03-05T14:30:00Z"),
    ]
    months = found["created_at"].dt.strftime("%Y-%m").value_counts().to_dict()
    assert months == {"2026-01": 2999, "2026-02": 3000, "2026-03": 2999, "2026-04": 3000}
    assert [part.month for part in manifest.read().parts] == ["2026-01", "2026-02", "2026-03", "2026-04"]


@pytest.mark.parametrize("quick_from", [0, 1 << 20])
@pytest.mark.parametrize("end", ["\r", "\n\r", "\r\n"])
@pytest.mark.usefixtures("home")
def test_a_file_may_end_with_a_carriage_return(tmp_path: Path, end: str, quick_from: int) -> None:
    path = write(tmp_path / "t.csv", f"ticket_id,created_at\nA,2026-01-01\nB,2026-01-02{end}")
    loaded, found = _load(path, mapping.Mapping(), quick_from)
    assert (loaded.rows, loaded.rejected, list(found["ticket_id"])) == (2, 0, ["A", "B"])


@pytest.mark.parametrize("quick_from", [0, 1 << 20])
@pytest.mark.parametrize(
    "odd", [" Billing", "Billing ", '"Billing\n"', "\u3000Billing", "Billing\x1f", "Billing\u0085"]
)
@pytest.mark.usefixtures("home")
def test_a_word_that_repeats_loses_its_blank_ends_wherever_it_stands(tmp_path: Path, odd: str, quick_from: int) -> None:
    rows = [f"T{i:06},2026-{1 + i // 300:02}-01,Billing,Refund" for i in range(900)]
    rows[450] = f"T000450,soon,Billing,{odd}"
    rows[-2] = f"T000898,2026-03-01,{odd},Refund"
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at,team,topic", *rows, ""]))
    loaded, found = _load(path, mapping.Mapping(), quick_from)
    assert [one.line for one in loaded.rejects] == [452]
    assert found["team"].value_counts().to_dict() == {"Billing": 899}
    assert found["topic"].value_counts().to_dict() == {"Refund": 899}


@pytest.mark.parametrize("quick_from", [0, 1 << 20])
@pytest.mark.usefixtures("home")
def test_a_ticket_that_comes_again_in_a_later_month_leaves_the_earlier_one(tmp_path: Path, quick_from: int) -> None:
    rows = ["A,2026-01-05", *(f"B{i},2026-02-{1 + i // 10:02}" for i in range(200)), "A,2026-03-01", "B7,2026-03-02"]
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at", *rows, ""]))
    loaded, found = _load(path, mapping.Mapping(), quick_from)
    assert (loaded.rows, loaded.duplicates, len(found)) == (201, 2, 201)
    assert [(part.month, part.rows) for part in manifest.read().parts] == [("2026-02", 199), ("2026-03", 2)]


@pytest.mark.usefixtures("home")
def test_odd_quotes_do_not_break_a_file_into_many_parts(tmp_path: Path) -> None:
    text = {0: 'a 5" pipe', 1: '"a, b"'}
    rows = [f"T{i:06},2026-{1 + i // 20000:02}-01,{text.get(i % 1500, 'word ' * 30)}" for i in range(40000)]
    path = write(tmp_path / "t.csv", "\n".join(["ticket_id,created_at,body", *rows, ""]))
    loaded, found = _load(path, mapping.Mapping(), 0)
    assert (loaded.rows, loaded.rejected) == (40000, 0)
    assert [part.month for part in manifest.read().parts] == ["2026-01", "2026-02"]
    assert len(found) == 40000


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.usefixtures("home")
def test_many_empty_lines_are_no_tickets(tmp_path: Path, end: str) -> None:
    rows = [f"T{i:06},2026-01-01" for i in range(5000)]
    path = write(tmp_path / "t.csv", end.join(["ticket_id,created_at", *rows, 'X,2026-01-30"']) + end * 400_000)
    loaded, _ = _load(path, mapping.Mapping(), 1 << 18)
    assert (loaded.rows, loaded.rejected) == (5000, 1)
