"""What models cost by day: a run has the price of its own day, and what is not known is said to be unknown."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Invalid
from workbench.runtime import prices, roles
from workbench.traces import costs

HEAD = "model,from,input,output,cached\n"


def day(text: str) -> dt.date:
    """A day."""
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("model", "on", "cost"),
    [
        ("gpt-4o", "2024-06-01", 20.0),
        ("gpt-4o", "2024-10-02", 12.5),
        ("gpt-4o-2024-11-20", "2025-01-01", 12.5),
        ("gpt-4o", "2024-05-12", None),
        ("gpt-4o-unheard-of", "2026-01-01", None),
    ],
)
def test_the_price_is_that_of_the_day(model: str, on: str, cost: float | None) -> None:
    found = prices.at(prices.table(), model, day(on))
    assert (None if found is None else found.cost(1_000_000, 1_000_000)) == cost


def test_what_the_server_had_seen_before_costs_less() -> None:
    found = prices.at(prices.table(), "gpt-4o", day("2025-01-01"))
    assert found is not None
    assert found.cost(1_000_000, 0, 400_000) == pytest.approx(0.6 * 2.5 + 0.4 * 1.25)
    assert found.words == "$2.5 in, $1.25 in again, $10 out a million tokens, since 2 Oct 2024"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.csv is not a price table"),
        ("model,input\na,1\n", "t.csv is not a price table"),
        (f"{HEAD}a,2026-01-01,1\n", "t.csv, line 2 is not a price"),
        (f"# told\n{HEAD}a,2026-01-01,1,-1,\n", "t.csv, line 3 is not a price"),
        (f"{HEAD}a,soon,1,1,\n", "t.csv, line 2 is not a price"),
        (f"{HEAD}a,2026-01-01,nan,1,\n", "t.csv, line 2 is not a price"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        prices.read(text, "t.csv")


def test_a_deployment_names_its_own_table_or_its_own_prices(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(f"{HEAD}own-1,2026-01-01,1,2,\n")
    table = roles({"WORKBENCH_PRICES": str(file)})
    found = table.price("own-1", day("2026-02-01"))
    assert found is not None
    assert found.cost(1_000_000, 1_000_000) == 3.0
    assert table.price("gpt-4o", day("2026-02-01")) is None
    own = roles({"WORKBENCH_PRICES": '{"gpt-4o": [7, 7]}'}).price("gpt-4o", day("2020-01-01"))
    assert own is not None
    assert own.words == "$7 in, $7 out a million tokens"
    with pytest.raises(Invalid, match=r"price table none\.csv cannot be read"):
        roles({"WORKBENCH_PRICES": str(tmp_path / "none.csv")})


def call(model: str, given: int, usd: float | None = None) -> dict[str, Any]:
    """A recorded model request."""
    used = {"requests": 1, "input_tokens": given, "output_tokens": 0}
    return {"kind": "model", "model": model, "response": {"usage": used}, "usd": usd}


def test_the_bill_of_a_run_without_costs_uses_the_price_of_its_day() -> None:
    record = {"started_at": "2024-06-01T10:00:00+00:00", "usage": {"usd": None, "input_tokens": 4_000_000}}
    known = record | {"calls": [call("gpt-4o", 1_000_000), call("gpt-4o", 1_000_000)]}
    (line,) = costs.bill(known)
    assert (line.requests, line.input_tokens, line.usd) == (2, 2_000_000, 10.0)
    assert costs.usd(known) == 10.0
    assert costs.usd(known | {"calls": [*known["calls"], call("mystery", 5)]}) is None
    assert costs.usd(known | {"usage": {"usd": 0.5, "input_tokens": 1}}) == 0.5
