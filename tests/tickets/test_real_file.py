"""A real incident log, loaded with the mapping that we ship, against the same figures from pandas alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.tickets.files import ADMIN
from workbench import settings
from workbench.tickets import Loaded, load, mapping, metrics, trends

FILE = settings.ROOT.parent / "shared" / "data" / "servicenow_incidents" / "incidents.parquet"
MAPPING = settings.ROOT / "data" / "seed" / "mappings" / "servicenow.yaml"

pytestmark = [
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(not FILE.exists(), reason=f"the ServiceNow incident log is not at {FILE}"),
]


@pytest.fixture
def loaded(home: Path) -> Loaded:
    return load(ADMIN, FILE, mapping=mapping.read(MAPPING))


@pytest.fixture
def raw() -> pd.DataFrame:
    return pd.read_parquet(Path(FILE))


def test_every_incident_is_loaded(loaded: Loaded) -> None:
    assert (loaded.rows, loaded.rejected, loaded.duplicates) == (24_918, 0, 0)
    assert "made_sla" in loaded.attributes


@pytest.mark.usefixtures("loaded")
def test_five_figures_equal_a_computation_in_pandas(raw: pd.DataFrame) -> None:
    hours = (raw["resolved_at"] - raw["opened_at"]).dt.total_seconds() / 3600
    found = {name: trends.query(name).rows[0]["value"] for name in metrics.METRICS}
    assert found["volume"] == len(raw) == 24_918
    assert found["resolution"] == pytest.approx(hours.median()) == pytest.approx(22.1)
    assert (
        found["reopened"] == pytest.approx(100 * (raw["reopen_count"] > 0).mean()) == pytest.approx(100 * 275 / 24_918)
    )
    assert found["unresolved"] == raw["resolved_at"].isna().sum() == 1_556
    channels = {row["channel"]: row["value"] for row in trends.query("volume", by=["channel"]).rows}
    assert channels == raw["channel"].value_counts().to_dict()
    assert channels["Phone"] == 24_688
    assert found["csat"] is None
    assert found["first_response"] is None


@pytest.mark.usefixtures("loaded")
def test_the_weekly_series_equals_a_computation_in_pandas(raw: pd.DataFrame) -> None:
    frame = trends.series("volume", grain="week")
    weeks = raw.groupby(raw["opened_at"].dt.to_period("W-SUN").dt.start_time).size()
    assert frame["value"].sum() == len(raw)
    found = frame[frame["value"] > 0].set_index("period")["value"]
    assert list(found) == list(weeks)
    assert list(found.index) == list(weeks.index)


@pytest.mark.usefixtures("loaded")
def test_medians_by_priority_equal_a_computation_in_pandas(raw: pd.DataFrame) -> None:
    hours = (raw["resolved_at"] - raw["opened_at"]).dt.total_seconds() / 3600
    names = {"1 - Critical": "urgent", "2 - High": "high", "3 - Moderate": "normal", "4 - Low": "low"}
    expected = hours.groupby(raw["priority"].map(names)).median().to_dict()
    found = {row["priority"]: row["value"] for row in trends.query("resolution", by=["priority"]).rows}
    assert found == pytest.approx(expected)
