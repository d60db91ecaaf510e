"""The gate: whether a frozen flow may be released. It fails closed: what was not measured does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench import datasets
from workbench.errors import Invalid, NotFound
from workbench.evals.experiments import newest, report
from workbench.runtime.release import Release
from workbench.runtime.spec import Charter
from workbench.store import session


class Policy(BaseModel):
    """What a flow must reach. `dataset` defaults to the one with the flow's name; `pass_rate` is a share from 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = ""
    min_cases: int = Field(default=5, ge=1)
    pass_rate: float = Field(default=0.9, ge=0, le=1)
    labelled_cases: bool = True
    charter: bool = True


@dataclass(frozen=True)
class Check:
    """One condition and whether it holds."""

    name: str
    passed: bool
    words: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: every check, and the experiment it rests on."""

    flow: str
    digest: str
    passed: bool
    checks: tuple[Check, ...]
    experiment: str = ""

    @property
    def reasons(self) -> list[str]:
        """Why it does not pass."""
        return [check.words for check in self.checks if not check.passed]

    @property
    def plain(self) -> dict[str, Any]:
        """The verdict as plain data, as a release file keeps it."""
        return {
            "passed": self.passed,
            "experiment": self.experiment,
            "checks": [{"name": c.name, "passed": c.passed, "words": c.words} for c in self.checks],
        }


def policy(text: str) -> Policy:
    """A policy from YAML or JSON. Raises Invalid naming what does not fit."""
    try:
        body = yaml.safe_load(text) or {}
        return Policy.model_validate(body)
    except yaml.YAMLError:
        raise Invalid("The policy is not YAML.") from None
    except RecursionError:
        raise Invalid("The policy is nested too deeply.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "policy"
        raise Invalid(f"The policy: {where}: {first['msg']}.") from None


def gate(release: Release, rules: Policy | None = None) -> Verdict:
    """Whether `release` may go out under `rules` (default: Policy()), from the newest experiment of exactly this content."""
    rules = rules or Policy()
    name = rules.dataset or release.name

    def refused(words: str) -> Verdict:
        return Verdict(release.name, release.digest, False, (Check("evidence", False, words), *_flow(release, rules)))

    try:
        with session() as open_session:
            frozen = datasets.freeze(open_session, name)
    except (NotFound, Invalid) as error:
        return refused(str(error))
    found = newest(release.digest, frozen.digest)
    if found is None:
        return refused(f"This version has not been evaluated on the present cases of {name}; run an experiment first.")
    result = report(found.id)
    held = {case.id for case in frozen.cases if case.polarity}
    broken = sorted({row.case_id for row in result.failing if row.case_id in held})
    missing = len(frozen.cases) * result.experiment.repeat - len(result.rows)
    errors = sum(row.outcome == "error" for row in result.rows)
    scored = result.rate.total
    checks = [
        Check("evidence", missing == 0, "every case has run" if not missing else f"{missing} cases have no result"),
        Check(
            "unscored", result.unscored == 0, _none(result.unscored, "every case was scored", "cases were not scored")
        ),
        Check("errors", errors == 0, _none(errors, "no run ended in an error", "runs ended in an error")),
        Check(
            "enough cases", scored >= rules.min_cases, f"{scored} scored cases, at least {rules.min_cases} are needed"
        ),
        Check(
            "pass rate",
            scored > 0 and result.rate.value >= rules.pass_rate,
            f"pass rate {result.rate}, {100 * rules.pass_rate:.0f} % is needed",
        ),
    ]
    if rules.labelled_cases:
        words = "every case that people labelled passes" if not broken else f"labelled cases fail: {', '.join(broken)}"
        checks.append(Check("labelled cases", not broken, words))
    checks += _flow(release, rules)
    return Verdict(release.name, release.digest, all(c.passed for c in checks), tuple(checks), found.id)


def _flow(release: Release, rules: Policy) -> list[Check]:
    """What the flow itself must have: a whole charter, and something real behind every tool."""
    mocks = sorted(name for name, tool in release.spec.tools.items() if tool.kind == "mock")
    words = f"nothing stands behind {', '.join(mocks)}" if mocks else "something real stands behind every tool"
    checks = [Check("tools", not mocks, words)]
    if rules.charter:
        charter = release.spec.charter
        named = charter.model_dump() if charter is not None else dict.fromkeys(Charter.model_fields, "")
        gaps = [name for name, value in named.items() if not value.strip()]
        told = (
            f"the charter does not say its {', '.join(gaps)}"
            if gaps
            else f"the charter is whole, owned by {named['owner']}"
        )
        checks.insert(0, Check("charter", not gaps, told))
    return checks


def _none(count: int, good: str, bad: str) -> str:
    return good if count == 0 else f"{count} {bad}"
