"""The app's entry: page config, who acts, menu, run."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from workbench.ui import frame, nav, session  # noqa: E402

st.set_page_config(page_title="Workbench", page_icon=frame.MARK, layout="wide")
page = nav.menu()
session.come_to(page.url_path)
frame.sidebar()
page.run()
frame.drawn.set()
