"""The commands as a script calls them: processes, exit codes, one JSON document, one line for an error."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from workbench import datasets, flows, releases, settings, traces
from workbench.__main__ import main
from workbench.access import audit
from workbench.errors import Invalid, NotFound
from workbench.runtime import load, spec

HEAVY = ("streamlit", "pandas", "plotly", "duckdb", "sqlmodel", "sqlalchemy", "dbos", "numpy")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as exactly one JSON document."""
        return json.loads(self.out)


def call(*arguments: str | Path, module: str = "workbench", **environment: str) -> Done:
    """Run a command as a process of its own, in this test's home."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def ask(*arguments: str | Path, code: int = 0, **rest: str) -> Any:
    """What a command answers with --json, as a process; its exit code must be `code`."""
    done = call(*arguments, "--json", **rest)
    assert done.code == code, done.err or done.out
    return done.json


def here(*arguments: str | Path) -> Done:
    """Run a command in this process, through the same entry: for the many that need no process of their own."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["python -m workbench", *map(str, arguments)])
        code = main()
    return Done(code, out.getvalue(), err.getvalue())


def look(*arguments: str | Path, code: int = 0) -> Any:
    """What a command answers with --json in this process."""
    done = here(*arguments, "--json")
    assert done.code == code, done.err or done.out
    return done.json


def state() -> dict[str, Any]:
    """All that a refused command must leave as it was."""
    chosen = settings.load()
    return {
        "flows": {one.name: one.version for one in flows.drafts()},
        "runs": traces.ids(),
        "cases": {one.name: datasets.write(one.name) for one in datasets.datasets()},
        "audit": audit.verify(),
        "environments": releases.environments("order-desk"),
        "files": {p: p.read_bytes() for p in sorted(chosen.releases.rglob("*")) if p.is_file()},
        "tickets": (chosen.tickets / "manifest.json").read_bytes(),
    }


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_whole_loop_by_commands(seeded: Path, tmp_path: Path) -> None:
    assert [one["flow"] for one in look("flows", "list")] == ["help-answers", "order-desk"]
    assert look("flows", "check", "order-desk")["errors"] == 0
    assert "order-desk written to" in here("flows", "export", "order-desk", tmp_path / "desk.yaml").out
    changed = (tmp_path / "desk.yaml").read_text().replace("refunds small amounts", "refunds sums that are small")
    imported = ask("flows", "import", write(tmp_path / "desk.yaml", changed))
    assert imported == {"flow": "order-desk", "version": 2, "new": False}

    told = ask("run", "order-desk", "Where is my order 1042?")
    assert (told["outcome"], told["agent"], told["models"]) == ("answered", "shipping", ["offline model"])
    assert "1042" in told["reply"]
    run_id = told["run_id"]
    assert [one["id"] for one in look("runs", "list", "--limit", "1")] == [run_id]
    shown = here("runs", "show", run_id)
    assert shown.out.startswith("customer: Where is my order 1042?")
    assert told["reply"] in shown.out
    exported = look("runs", "export", run_id, tmp_path / "run.json")
    assert exported == {"run_id": run_id, "file": str(tmp_path / "run.json")}
    assert look("runs", "import", tmp_path / "run.json") == {"added": []}
    verdicts = ask("runs", "replay", "--all")
    assert {one["verdict"] for one in verdicts} == {"faithful"}
    assert len(verdicts) == len(traces.ids())

    here("datasets", "export", "order-desk", tmp_path / "cases.jsonl")
    cases = len((tmp_path / "cases.jsonl").read_text().splitlines())
    assert look("datasets", "import", "order-desk", tmp_path / "cases.jsonl") == {
        "dataset": "order-desk",
        "cases": cases,
        "new": 0,
    }

    changes = look("releases", "diff", "order-desk@production", "order-desk", code=1)
    assert [one["words"] for one in changes] == ["the purpose is worded otherwise"]
    refused = here("releases", "promote", "order-desk")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "The gate does not let order-desk pass" in refused.err
    assert releases.environments("order-desk") == {"production": 1}
    assert look("evals", "gate", "order-desk", code=1)["passed"] is False
    measured = ask("evals", "run", "order-desk", "order-desk")
    assert (measured["state"], measured["done"], measured["pass_rate"]["value"]) == ("done", cases, 1.0)
    assert look("evals", "show", measured["experiment"]) == measured
    assert look("evals", "gate", "order-desk")["experiment"] == measured["experiment"]

    made = ask("releases", "promote", "order-desk", "--note", "Clearer.")
    assert (made["number"], made["environments"]) == (2, ["production"])
    assert [one["number"] for one in look("releases", "list", "order-desk")] == [2, 1]
    assert look("releases", "show", "order-desk@v2")["digest"] == made["digest"]
    assert look("releases", "verify", made["path"])["intact"] is True
    folder = f"{settings.load().releases}#order-desk@production"
    answer = ask("run", folder, "Where is my order 1042?", module="workbench.runtime")
    assert (answer["version"], answer["reply"]) == ("v2", told["reply"])
    back = look("releases", "rollback", "order-desk", "production")
    assert (back["before"], back["after"]) == (2, 1)
    assert load(folder).version == "v1"
    assert audit.verify().intact


def test_tickets_and_health_answer_as_one_json_document(seeded: Path) -> None:
    monthly = ask("tickets", "query", "volume", "--grain", "month", "--by", "channel")
    assert sum(row["value"] for row in monthly["rows"]) == 4000
    told = ask("tickets", "ask", "How many tickets by channel?")
    assert sum(row["value"] for row in told["rows"]) == 4000
    assert told["question"]["by"] == ["channel"]
    lines = {one["name"]: one for one in look("check", code=1)}
    assert [name for name, one in lines.items() if not one["well"]] == ["worker"]
    assert "chain intact" in lines["audit"]["words"]


BAD = {
    "broken.yaml": "format: 1\nflow: [x\n",
    "unknown.yaml": "format: 1\nflow: order-desk\nentry: a\nagents: {a: {prompt: a, modle: small}}\n",
    "several.yaml": "format: 1\nflow: order-desk\nentyr: a\nagentz: {}\n",
    "wrong.csv": "number,opened\n1,2026-01-01\n",
    "case.jsonl": '{"id": "a", "input": "hi"}\n{"id": "b", "input": "hi", "expceted": {}}\n',
    "run.json": '{"format": 1, "run": {"id": "run_1"}, "content": {}}',
    "policy.yaml": "pass_rat: 0.5\n",
    "nothing.jsonl": "\n",
}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("flows import broken.yaml", "The YAML cannot be read: line 3, column 1"),
        ("flows import unknown.yaml", "agents.a.modle: unknown key; did you mean `model`?"),
        ("flows import several.yaml", "entyr: unknown key; did you mean `entry`?"),
        ("flows check gone.yaml", "There is no file"),
        ("flows show dusk", "There is no flow called dusk. Known: help-answers, order-desk."),
        ("run dusk Hello", "There is no flow called dusk"),
        ("run order-desk@v9 Hello", "There is no release order-desk@v9"),
        ("run order-desk@moon Hello", "order-desk has no release in moon. Environments with one: production."),
        ("run order-desk", "message"),
        ("run order-desk Hello --var shop", "--var shop has no value"),
        ("runs show run_0", "There is no run run_0"),
        ("runs import run.json", "The run is not whole"),
        ("runs list --since yesterday", "yesterday is not a date"),
        ("runs list --limit 0", "--limit"),
        ("datasets import order-desk case.jsonl", "Line 2: expceted: unknown key"),
        ("datasets import order-desk nothing.jsonl", "The file has no cases"),
        (
            "evals run order-desk nowhere",
            "There is no dataset called nowhere. Known: help-answers, incident-lookup, invoices, order-desk, refunds.",
        ),
        ("evals run order-desk order-desk --evaluators magic", "There is no evaluator magic. Known: agent, contains"),
        ("evals gate order-desk --policy policy.yaml", "The policy: pass_rat"),
        ("releases promote order-desk --to moon", "There is no environment moon. Use dev, staging, production."),
        ("releases promote order-desk", "order-desk v1 is in production already"),
        ("releases rollback order-desk production", "v1 is the first release in production"),
        ("tickets load wrong.csv", "wrong.csv"),
        ("tickets ask revenue", "Tickets carry no sales figures."),
        ("tickets ask tickets --read-by gpt", "There is no model 'gpt' that could read this."),
        ("runs list --wish errors --read-by gpt", "There is no model 'gpt' that could read this."),
        ("nonsense", "No such command 'nonsense'"),
    ],
)
def test_unusable_input_is_one_line_and_nothing_is_changed(
    seeded: Path, tmp_path: Path, command: str, told: str
) -> None:
    before = state()
    for name, text in BAD.items():
        write(tmp_path / name, text)
    words = [str(tmp_path / w) if w in (*BAD, "gone.yaml") else w for w in command.split()]
    done = here(*words)
    lines = [line for line in done.err.splitlines() if not line.startswith("Reading ")]
    assert (done.code, done.out) == (2, ""), done.err[-600:]
    assert told in done.err
    assert len(lines) == 1, lines
    assert state() == before


def test_an_error_of_a_process_is_one_line_and_exit_code_two(seeded: Path, tmp_path: Path) -> None:
    before = state()
    done = call("flows", "import", write(tmp_path / "broken.yaml", BAD["broken.yaml"]))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    done = call("run", "dusk", "Hello", "--json")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert state() == before


def test_a_variable_without_a_value_is_one_line_that_names_it(seeded: Path, tmp_path: Path) -> None:
    bare = flows.draft("order-desk").spec.model_copy(update={"variables": {}})
    here("flows", "import", write(tmp_path / "desk.yaml", spec.write(bare)))
    found = look("flows", "check", "order-desk", code=1)
    assert "uses $shop_name, which has no value" in found["findings"][0]["message"]
    before = state()
    done = here("run", "order-desk", "Hello")
    assert (done.code, done.out) == (2, "")
    assert "$shop_name" in done.err
    assert state() == before
    assert done.err.count("\n") == 1


def test_many_inputs_from_a_file_need_only_their_input(seeded: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", '{"input": "Where is my order 1042?"}\n{"input": "Hello!"}\n')
    told = ask("run", "order-desk", "--file", file)
    assert (len(told), told[0]["outcome"]) == (2, "answered")


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_port_in_use_is_named_and_nothing_is_made(home: Path, busy: int) -> None:
    done = call("--port", str(busy), "--headless")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert f"The port {busy} on 127.0.0.1 cannot be used" in done.err
    assert not home.exists()


@pytest.mark.parametrize("command", ["seed --tickets 10", "flows list", "--no-seed --headless --port 65000"])
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, command: str) -> None:
    blocked = write(tmp_path / "file", "") / "home"
    done = call(*command.split(), WORKBENCH_HOME=str(blocked))
    last = done.err.splitlines()[-1]
    assert done.code == 2, done.err[-600:]
    assert "Traceback" not in done.err
    assert str(blocked) in last or "has not been set up yet" in last


def test_a_read_only_database_refuses_a_change_in_one_line(seeded: Path, tmp_path: Path) -> None:
    before = state()
    here("flows", "export", "order-desk", tmp_path / "desk.yaml")
    url = f"sqlite:///file:{settings.load().local / 'workbench.db'}?mode=ro&uri=true"
    done = call("flows", "import", tmp_path / "desk.yaml", WORKBENCH_DATABASE_URL=url)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err[-600:]
    assert "The database is read-only; nothing was changed." in done.err
    assert state() == before


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WORKBENCH_PRICES", "junk", "WORKBENCH_PRICES"),
        ("WORKBENCH_MODEL_MAIN", "gpt-9", "WORKBENCH_MODEL_MAIN names gpt-9, but there is no OPENAI_API_KEY"),
        ("WORKBENCH_DATABASE_URL", "junk", "WORKBENCH_DATABASE_URL"),
        ("WORKBENCH_DATABASE_URL", "mysql://root@127.0.0.1/x", "WORKBENCH_DATABASE_URL"),
        ("WORKBENCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none", "WORKBENCH_DATABASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(seeded: Path, name: str, value: str, told: str) -> None:
    before = state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        done = here("run", "order-desk", "Hello")
    assert (done.code, done.out) == (2, ""), done.err[-600:]
    assert told in done.err
    assert done.err.count("\n") == 1
    assert state() == before


def test_a_tampered_release_is_refused_by_name(seeded: Path) -> None:
    file = settings.load().releases / "order-desk" / "v1.json"
    text = file.read_text().replace("small amounts", "any amount")
    file.chmod(0o644)
    write(file, text)
    verdict = call("verify", file, "--json", module="workbench.runtime")
    assert (verdict.code, verdict.json["intact"]) == (1, False)
    answer = call("run", f"{settings.load().releases}#order-desk@production", "Hello", module="workbench.runtime")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert f"{file} was changed after it was released" in answer.err
    assert look("releases", "verify", file, code=1)["intact"] is False


@pytest.mark.parametrize("damage", ["not json", '{"kind": "workbench release"', "[]", "NaN", "[" * 5000, "v1.json/x"])
def test_a_file_that_is_no_release_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    file = write(tmp_path / "v1.json", damage)
    with pytest.raises((Invalid, NotFound)) as refused:
        load(file / "x" if damage == "v1.json/x" else file)
    assert str(file) in str(refused.value)


def test_the_runtime_loads_none_of_the_workbenchs_libraries(seeded: Path) -> None:
    script = f"""
import json, sys
import workbench.runtime
first = [name for name in {HEAVY!r} if name in sys.modules]
from workbench.runtime.__main__ import main
code = main(["run", {f"{settings.load().releases}#order-desk@production"!r}, "Where is my order 1042?"])
print(json.dumps([first, [name for name in {HEAVY!r} if name in sys.modules], code]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [[], [], 0]
    assert "1042" in done.stdout


@pytest.mark.parametrize(
    "words", [["runs", "list"], ["flows", "list"], ["releases", "list", "order-desk"], ["runs", "--help"]]
)
def test_a_command_that_runs_nothing_does_not_wait_for_the_agents_sdk(seeded: Path, words: list[str]) -> None:
    script = f"""
import sys
from workbench.__main__ import main
sys.argv[1:] = {words!r}
try:
    main()
finally:
    print([name for name in ("agents", "openai", "mcp", "streamlit") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout.strip()
