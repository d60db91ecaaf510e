"""A worker that was just started knows every kind of job and every schedule of the product."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests.conftest import ROOT

ASK = """
import json, sys
from workbench.jobs import work
from workbench.operations import prepare
prepare.register()
print(json.dumps({"schedules": sorted(work.schedules()), "modules": sorted(sys.modules)}))
"""


def test_after_a_start_briefs_signals_and_new_tickets_are_looked_at_and_every_kind_of_job_can_be_done() -> None:
    told = json.loads(subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, check=True, capture_output=True).stdout)
    assert {"watch", "briefs", "look at new tickets"} <= {*told["schedules"]}
    registering = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "workbench").rglob("*.py")
        if re.search(r"^jobs\.(kind|schedule)\(", path.read_text(), re.MULTILINE)
    }
    assert len(registering) >= 9
    assert sorted(registering - {*told["modules"]}) == []
