"""Keys pressed in the browser, in order and none lost: they are counted there and sent as one growing list."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from workbench.ui import session

_JS = """
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".keys") || parentElement;
  const store = (window.__workbenchKeys = window.__workbenchKeys || {});
  const mine = (store[data.name] = store[data.name] || { presses: [], token: data.token });
  if (mine.token !== data.token) { mine.presses = []; mine.token = data.token; }
  const press = (key) => {
    mine.presses.push(key);
    setStateValue("presses", { token: data.token, keys: mine.presses.slice() });
  };
  root.replaceChildren();
  for (const one of data.choices) {
    const button = document.createElement("button");
    button.type = "button";
    const cap = document.createElement("kbd");
    cap.textContent = one.key;
    button.append(cap, document.createTextNode(" " + one.title));
    button.onclick = () => press(one.key);
    root.append(button);
  }
  const known = new Set(data.choices.map((one) => one.key));
  const listen = (event) => {
    const target = event.composedPath()[0];
    const typing = target && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName || ""));
    if (typing && event.key === "Enter" && target.tagName === "INPUT") setTimeout(() => target.blur(), 0);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !known.has(event.key)) return;
    event.preventDefault();
    press(event.key);
  };
  if (mine.listen) document.removeEventListener("keydown", mine.listen, true);
  mine.listen = listen;
  document.addEventListener("keydown", listen, true);
  return () => document.removeEventListener("keydown", listen, true);
}
"""

_CSS = """
.keys { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.keys button {
  font: inherit; color: var(--st-text-color); background: var(--st-secondary-background-color);
  border: 1px solid var(--st-border-color); border-radius: 0.4rem; padding: 0.45rem 0.8rem; cursor: pointer;
}
.keys button:hover, .keys button:focus-visible { border-color: var(--st-primary-color); outline: none; }
.keys kbd {
  font: inherit; font-weight: 650; color: var(--st-primary-color); margin-right: 0.3rem;
}
"""

_component = st.components.v2.component("workbench_keys", html="<div class='keys'></div>\n", css=_CSS, js=_JS)


def pressed(name: str, choices: Sequence[tuple[str, str]]) -> list[str]:
    """Draw the choices (key, title) as buttons that also listen to their keys; the presses since the last rerun, in order."""
    token = session.kept(f"keys-token-{name}", lambda: f"{name}-{id(object())}")
    state = _component(
        data={"name": name, "token": token, "choices": [{"key": k, "title": t} for k, t in choices]},
        key=f"keys-{name}",
        default={"presses": None},
        on_presses_change=lambda: None,
    )
    given = state.presses or {}
    keys = list(given.get("keys", [])) if given.get("token") == token else []
    seen = int(session.get(f"keys-seen-{name}", 0))
    session.keep(f"keys-seen-{name}", max(seen, len(keys)))
    return keys[seen:]
