"""Taking runs in, how long they are kept, and one customer's data deleted: on the page, each person what they may."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_approvals_page import linked, told
from tests.pages.test_fork_panel import parameter
from tests.traces.recorded import stored
from tests.traces.test_search import put
from workbench import jobs, traces
from workbench.store import now, session
from workbench.traces import forget


def folds(app: AppTest) -> list[str]:
    """The titles of the folds."""
    return [one.label for one in app.expander if "mport" in one.label or "etention" in one.label]


def ended(app: AppTest) -> AppTest:
    """The page once the job in its address has ended."""
    for _ in range(200):
        if jobs.job(parameter(app, "deletion")).ended:
            break
        time.sleep(0.05)
    return app.run()


def test_each_person_sees_what_they_may_do(migrated: Path) -> None:
    stored()
    seen = {role: folds(linked("runs", role)) for role in ("rep", "architect", "manager", "admin")}
    assert seen == {
        "rep": [],
        "architect": ["Import"],
        "manager": ["Retention, deletion"],
        "admin": ["Import, retention, deletion"],
    }


def test_a_file_of_runs_is_taken_in_once_and_a_changed_one_is_refused(migrated: Path, home: Path) -> None:
    run_id = stored("My lamp is broken").run_id
    text = traces.export(run_id)
    with session() as open_session:
        forget._delete(open_session, [run_id])
    app = linked("runs", "architect")
    app.file_uploader(key="runs-file").set_value(("lamp.json", text.encode(), "application/json")).run()
    app.button(key="take-runs-in").click().run()
    assert "1 run taken in." in " ".join(one.value for one in app.success)
    assert list(app.dataframe[0].value["question"]) == ["My lamp is broken"]
    app.button(key="take-runs-in").click().run()
    assert "Every run of that file was here already." in told(app)
    changed = text.replace("My lamp is broken", "My lamp is fine")
    app.file_uploader(key="runs-file").set_value(("lamp.json", changed.encode(), "application/json")).run()
    app.button(key="take-runs-in").click().run()
    assert "The file was changed" in " ".join(one.value for one in app.error)


def test_old_runs_are_deleted_only_where_somebody_says_so(migrated: Path) -> None:
    put(1, started_at=now() - dt.timedelta(days=40))
    app = linked("runs", "manager")
    app.selectbox(key="keep-flow").set_value("desk").run()
    app.number_input(key="keep-days-desk-0").set_value(90).run()
    assert "No run is that old yet." in told(app)
    app.number_input(key="keep-days-desk-0").set_value(30).run()
    assert "1 run is older than that, and will soon be deleted for good" in told(app)
    assert app.button(key="keep-save").disabled
    app.checkbox(key="keep-sure-desk-30").check().run()
    app.button(key="keep-save").click().run()
    assert [(one.flow, one.days) for one in forget.kept()] == [("desk", 30)]


def test_a_customers_data_is_shown_before_it_is_deleted_and_the_report_is_kept(migrated: Path) -> None:
    gone = stored("My account 4417-22 is locked").run_id
    stays = stored("Where is my order?").run_id
    app = linked("runs", "manager")
    try:
        app.text_input(key="deletion-value").set_value("4417-22")
        next(one for one in app.button if one.label == "Look for it").click().run()
        ended(app)
        job_id = parameter(app, "deletion")
        (table,) = (one.value for one in app.dataframe if "how many" in one.value.columns)
        assert table.to_dict("records")[0] == {"what": "runs", "how many": 1}
        assert traces.run(gone).id == gone
        assert app.button(key=f"deletion-do-{job_id}").disabled
        app.checkbox(key=f"deletion-sure-{job_id}").check().run()
        app.button(key=f"deletion-do-{job_id}").click().run()
        ended(app)
        assert "Deleted" in told(app)
        assert traces.ids() == [stays]
        assert any("Download the report" in str(one.proto) for one in app.get("download_button"))
    finally:
        jobs.stop()
