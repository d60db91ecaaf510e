"""The app's server."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from streamlit.web import bootstrap

ENTRY = Path(__file__).resolve().parents[1] / "app.py"


def serve(*, port: int, address: str, headless: bool) -> None:
    """Serve the app until it is stopped, and make ready in the background what it needs."""

    def prepare() -> None:
        from workbench.operations.prepare import prepare as make_ready

        make_ready()

    threading.Thread(target=prepare, name="prepare", daemon=True).start()
    options: dict[str, Any] = {"server_port": port, "server_address": address}
    if headless:
        options["server_headless"] = True
    print(f"The workbench is at http://{address}:{port}  (Ctrl-C ends it)", file=sys.stderr, flush=True)
    bootstrap.load_config_options(flag_options=options)
    bootstrap.run(str(ENTRY), False, [], options)
