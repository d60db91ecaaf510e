"""`evals`: run, show, gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench import access, evals, jobs, releases
from workbench.cli.output import Json, emit, no, progress, read_file

app = typer.Typer(no_args_is_help=True, help="Experiments and the gate.")


@app.command()
def run(
    flow: str,
    dataset: str,
    evaluators: Annotated[str, typer.Option(help="Names, with commas; default: all that apply.")] = "",
    repeat: Annotated[int, typer.Option(min=1, max=20)] = 1,
    workers: Annotated[int, typer.Option(min=1, max=100)] = 8,
    real: Annotated[bool, typer.Option("--real", help="Call tools that change something for real.")] = False,
    json: Json = False,
) -> None:
    """Run a flow over a dataset and score it. Exit code 1 where a case fails."""
    names = [name.strip() for name in evaluators.split(",") if name.strip()]
    made = evals.create(
        access.local(), releases.resolve(flow), dataset, evaluators=names, repeat=repeat, workers=workers, real=real
    )
    jobs.run_here(made.job_id, watch=lambda job: progress(f"{job.done} of {job.total} cases"))
    _tell(made.id, json)


@app.command()
def show(experiment: Annotated[str, typer.Argument(metavar="ID")], json: Json = False) -> None:
    """An experiment's pass rate and failing cases."""
    _tell(experiment, json)


@app.command()
def gate(
    flow: str, policy: Annotated[Path | None, typer.Option(help="A YAML file.")] = None, json: Json = False
) -> None:
    """Whether a flow may be released. Exit code 1 where it may not."""
    rules = evals.policy(read_file(policy)) if policy else None
    verdict = evals.gate(releases.resolve(flow), rules)
    lines = [f"{'ok' if c.passed else 'NO'}  {c.name}: {c.words}" for c in verdict.checks]
    data = {"flow": verdict.flow, "digest": verdict.digest, **verdict.plain}
    emit(data, "\n".join([*lines, "passes" if verdict.passed else "does not pass"]), as_json=json)
    if not verdict.passed:
        no()


def _tell(experiment: str, json: bool) -> None:
    found = evals.report(experiment)
    lines = [f"FAIL  {row.case_id}: {row.why} ({row.run_id})" for row in found.failing]
    head = f"{experiment}: {found.rate}; {found.done} of {found.total} run, {found.unscored} unscored, {found.state}"
    emit(_plain(found), "\n".join([*lines, head]), as_json=json)
    if found.failing or found.state != "done":
        no()


def _plain(found: evals.Report) -> dict[str, Any]:
    rate = found.rate
    return {
        "experiment": found.experiment.id,
        "flow": found.experiment.flow,
        "version": found.experiment.version,
        "digest": found.experiment.digest,
        "dataset": found.experiment.dataset,
        "state": found.state,
        "done": found.done,
        "total": found.total,
        "pass_rate": {
            "passed": rate.passed,
            "total": rate.total,
            "value": rate.value,
            "low": rate.low,
            "high": rate.high,
        },
        "unscored": found.unscored,
        "rows": list(found.rows),
    }
