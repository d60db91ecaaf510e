"""The app's server."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path
from typing import Any

from streamlit.web import bootstrap

from workbench.operations.prepare import prepare, warm
from workbench.traces import clock
from workbench.ui import frame

PATIENCE = 8.0
"""Seconds that the heavy libraries wait for the first page to be drawn, so that it has the process for itself."""

ENTRY = Path(__file__).resolve().parents[1] / "app.py"


def serve(*, port: int, address: str, headless: bool) -> None:
    """Serve the app until it is stopped; a while after, load the heavy libraries and let approvals expire by themselves.

    What is loaded is taken out of the search for garbage: after every run of a page Streamlit looks through all the rest.
    """
    prepare()

    def later() -> None:
        frame.drawn.wait(PATIENCE)
        try:
            warm()
        finally:
            clock.start()
            gc.collect()
            gc.freeze()

    threading.Thread(target=later, name="warm", daemon=True).start()
    options: dict[str, Any] = {"server_port": port, "server_address": address}
    if headless:
        options["server_headless"] = True
    print(f"The workbench is at http://{address}:{port}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    gc.freeze()
    bootstrap.load_config_options(flag_options=options)
    bootstrap.run(str(ENTRY), False, [], options)
