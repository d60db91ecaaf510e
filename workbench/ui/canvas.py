"""The picture of a flow, to be clicked and walked by keyboard; it also watches for undo keys and for pauses in typing.

What happens in the browser is sent as one growing list, so that nothing is lost while the page is being drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import streamlit as st

from workbench.flows import diagram
from workbench.runtime.spec import FlowSpec
from workbench.ui import session

PAUSE, QUIET = 600, 900
"""Milliseconds: a field is taken over after this pause in typing, and a change is saved after this quiet."""

_JS = """
const NS = "http://www.w3.org/2000/svg";
const kept = (window.__workbenchCanvas = window.__workbenchCanvas || {});

function make(tag, attributes, parent) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (parent) parent.append(made);
  return made;
}

function words(text, attributes, parent, room) {
  const made = make("text", attributes, parent);
  made.textContent = text;
  if (room && made.getComputedTextLength && made.getComputedTextLength() > room) {
    let length = text.length;
    while (length > 2 && made.getComputedTextLength() > room) made.textContent = text.slice(0, --length) + "\\u2026";
  }
  return made;
}

function arrow(id, parent) {
  const marker = make("marker", {
    id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse",
  }, parent);
  make("path", { d: "M0 1 L9 5 L0 9 z", class: `head ${id}` }, marker);
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".canvas") || parentElement;
  const mine = (kept[data.name] = kept[data.name] || { events: [], zoom: 0 });
  if (mine.token !== data.token) Object.assign(mine, { events: [], token: data.token, quiet: "", flying: false });
  const send = (kind, name = "", what = "") => {
    mine.events.push({ kind, name, what });
    if (!mine.flying) mine.fly();
  };
  draw(root, data, mine, send);
  if (data.still) return;
  const turn = (mine.turns = (mine.turns || 0) + 1);
  const begin = () => {
    Object.assign(mine, { data, send, turn });
    mine.fly = () => {
      mine.flying = true;
      again(mine, 5000);
      setStateValue("events", { token: data.token, list: mine.events.slice() });
    };
    arrived(mine);
    listen(mine);
    rest(mine);
  };
  mine.pictures = mine.pictures || new Map();
  mine.pictures.set(turn, begin);
  begin();
  const [number, name] = data.sought;
  if (name && number > (mine.sought || 0)) seek(data, mine, name);
  mine.sought = number;
  return () => leave(mine, turn);
}

/* A picture that is drawn in another place is there before the old one is taken away: which then leaves what the new one
   waits for alone. */
function leave(mine, turn) {
  mine.pictures.delete(turn);
  if (mine.turn !== turn) return;
  for (const timer of [mine.timer, mine.patience]) clearTimeout(timer);
  mine.stop();
  const last = [...mine.pictures.values()].pop();
  if (last) last();
}

function again(mine, after) {
  clearTimeout(mine.patience);
  mine.patience = setTimeout(() => mine.fly(), after);
}

/* One message is on its way at a time; what happened meanwhile goes along with the next. What the picture sent before it
   was drawn in another place may be lost; it is sent again. */
function arrived(mine) {
  if (mine.data.seen < mine.events.length) {
    if (mine.data.seen > (mine.seen || 0)) mine.fly();
    else again(mine, 2000);
  } else {
    clearTimeout(mine.patience);
    mine.flying = false;
  }
  mine.seen = mine.data.seen;
}

function draw(root, data, mine, send) {
  const { picture } = data;
  const before = root.querySelector(".view");
  const place = before ? [before.scrollLeft, before.scrollTop] : null;
  const active = root.getRootNode().activeElement;
  const focused = active && active.getAttribute ? active.getAttribute("data-id") : null;
  root.replaceChildren();
  root.classList.toggle("still", data.still);
  const view = document.createElement("div");
  view.className = "view";
  root.append(view);
  const svg = make("svg", {
    viewBox: `0 0 ${picture.width} ${picture.height}`, role: "group", "aria-label": data.told,
  }, view);
  const marks = make("defs", {}, svg);
  for (const id of ["ink", "hot", "gone"]) arrow(id, marks);
  const chosen = new Set(picture.boxes.filter((box) => is(box, data.chosen)).map((box) => box.id));
  const lines = picture.lines.map((line) => {
    const mark = line.kind === "missing" ? "gone" : "ink";
    const ends = line.kind === "tool" ? {} : {
      "marker-end": `url(#${mark})`, ...(line.both ? { "marker-start": `url(#${mark})` } : {}),
    };
    return [line, make("path", { d: line.path, class: `line ${line.kind}`, ...ends }, svg)];
  });
  const light = (ids) => lines.forEach(([line, path]) => {
    const hot = (ids.has(line.source) || ids.has(line.target)) && line.kind !== "missing";
    path.classList.toggle("hot", hot);
    if (line.kind === "tool") return;
    const mark = line.kind === "missing" ? "gone" : hot ? "hot" : "ink";
    path.setAttribute("marker-end", `url(#${mark})`);
    if (line.both) path.setAttribute("marker-start", `url(#${mark})`);
  });
  for (const note of picture.notes) words(note.text, { x: note.x, y: note.y, class: "note" }, svg);
  const nodes = picture.boxes.map((box) => node(box, chosen.has(box.id), data, svg, mine, send));
  nodes.forEach((one, spot) => {
    const box = picture.boxes[spot];
    one.onmouseenter = () => light(new Set([box.id, ...chosen]));
    one.onmouseleave = () => light(chosen);
  });
  light(chosen);
  if (!data.still) walk(nodes, picture.boxes, focused, chosen);
  size(view, svg, data, mine, root, send);
  if (place) [view.scrollLeft, view.scrollTop] = place;
  const first = nodes[picture.boxes.findIndex((box) => (chosen.size ? chosen.has(box.id) : box.entry))];
  const now = [...chosen].join(" ");
  if (first && mine.shown !== now) show(view, first);
  mine.shown = now;
}

function is(box, chosen) {
  if (!chosen || (box.kind !== "agent" && box.kind !== "tool")) return false;
  return box.kind === chosen.kind && box.name === chosen.name;
}

function node(box, chosen, data, svg, mine, send) {
  const [x, y, width, height] = box.area;
  const names = ["node", box.kind, box.entry && "entry", box.doubtful && "doubtful", chosen && "chosen"];
  const group = make("g", { class: names.filter(Boolean).join(" "), "data-id": box.id }, svg);
  group.setAttribute("aria-label", box.told);
  make("rect", { x, y, width, height, rx: box.kind === "agent" || box.kind === "missing" ? 7 : 5 }, group);
  if (box.kind === "tool") {
    const loud = box.effect === "high-stakes" || box.effect === "not declared";
    const effect = words(box.effect, {
      x: x + width - 8, y: y + 15, class: loud ? "small loud" : "small", "text-anchor": "end",
    }, group);
    const taken = effect.getComputedTextLength ? effect.getComputedTextLength() : 60;
    words(box.name, { x: x + 8, y: y + 15, class: "name" }, group, width - taken - 24);
    box.lines.forEach((line, row) => words(line, { x: x + 8, y: y + 29 + 13 * row, class: "small" }, group, width - 14));
  } else if (box.kind === "fold") {
    words(`\\u25b8 ${box.name}`, { x: x + 5, y: y + 12, class: "small" }, group, width - 8);
  } else {
    words(box.name, { x: x + 10, y: y + 19, class: "name" }, group, width - 18);
    box.lines.forEach((line, row) => {
      const loud = line === "unreachable" || line === "does not exist";
      words(line, { x: x + 10, y: y + 35 + 14 * row, class: loud ? "small loud" : "small" }, group, width - 16);
    });
  }
  if (data.still || box.kind === "missing") return group;
  group.setAttribute("role", "button");
  group.setAttribute("aria-pressed", String(chosen));
  group.setAttribute("tabindex", "-1");
  const act = () => {
    if (box.kind === "tool") seek(data, mine, box.name);
    if (box.kind === "fold") send("fold", box.agent);
    else send("pick", box.name, box.kind);
  };
  group.onclick = (event) => { if (event.detail) group.blur(); act(); };
  group.act = act;
  return group;
}

/* One stop for the Tab key; the arrow keys go to the nearest box in their direction. */
function walk(nodes, boxes, focused, chosen) {
  const open = nodes.map((one, spot) => [one, boxes[spot]]).filter(([one]) => one.act);
  if (!open.length) return;
  const home = open.find(([, box]) => box.id === focused) || open.find(([, box]) => chosen.has(box.id))
    || open.find(([, box]) => box.entry) || open[0];
  home[0].setAttribute("tabindex", "0");
  if (focused && home[1].id === focused) home[0].focus({ preventScroll: true });
  const go = (one) => {
    open.forEach(([other]) => other.setAttribute("tabindex", other === one ? "0" : "-1"));
    one.focus();
    one.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  for (const [one, box] of open) {
    one.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); one.act(); return; }
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const middle = (b) => [b.area[0] + b.area[2] / 2, b.area[1] + b.area[3] / 2];
      const [x, y] = middle(box);
      let best = null, least = Infinity;
      for (const [other, there] of open) {
        if (other === one) continue;
        const [dx, dy] = [middle(there)[0] - x, middle(there)[1] - y];
        const along = dx * step[0] + dy * step[1], aside = Math.abs(dx * step[1]) + Math.abs(dy * step[0]);
        if (along > 4 && along + 2.5 * aside < least) { least = along + 2.5 * aside; best = other; }
      }
      if (best) go(best);
    };
  }
}

function size(view, svg, data, mine, root, send) {
  const { width, height } = data.picture;
  const room = Math.max(90, view.clientWidth || root.clientWidth || 700);
  const least = 0.58;
  const most = data.still ? data.height : Math.max(data.height, 160);
  const fit = Math.min(1, room / width, data.still ? most / height : Infinity);
  const scale = data.still ? fit : mine.zoom || Math.max(fit, least);
  const apply = (by) => {
    svg.setAttribute("width", Math.round(width * by));
    svg.setAttribute("height", Math.round(height * by));
  };
  apply(scale);
  view.style.maxHeight = `${most}px`;
  if (data.still) return;
  const bar = document.createElement("div");
  bar.className = "bar";
  const told = document.createElement("span");
  told.textContent = data.legend;
  bar.append(told);
  const button = (label, title, act) => {
    const made = document.createElement("button");
    made.type = "button"; made.textContent = label; made.title = title; made.setAttribute("aria-label", title);
    made.onclick = act;
    bar.append(made);
  };
  if (width * least > room || height * scale > most || scale < 0.78 || mine.zoom) {
    const zoom = (by) => { mine.zoom = Math.min(1.6, Math.max(0.3, by)); apply(mine.zoom); };
    const now = () => svg.getAttribute("width") / width;
    button("\\u2212", "Smaller", () => zoom(now() / 1.2));
    button("+", "Larger", () => zoom(now() * 1.2));
    button("Fit", "Show the whole picture", () => zoom(Math.min(room / width, most / height)));
  }
  for (const [kind, label] of data.buttons) button(label, label, () => send(kind));
  root.append(bar);
  drag(view);
}

function show(view, node) {
  const [box, here] = [node.getBoundingClientRect(), view.getBoundingClientRect()];
  if (box.top < here.top || box.bottom > here.bottom) view.scrollTop += box.top - here.top - here.height / 2 + box.height / 2;
  if (box.left < here.left || box.right > here.right) view.scrollLeft += box.left - here.left - here.width / 3;
}

function drag(view) {
  view.onpointerdown = (event) => {
    if (event.button !== 0 || event.target.closest(".node")) return;
    const [x, y, left, top] = [event.clientX, event.clientY, view.scrollLeft, view.scrollTop];
    view.setPointerCapture(event.pointerId);
    view.onpointermove = (now) => { view.scrollLeft = left + x - now.clientX; view.scrollTop = top + y - now.clientY; };
    view.onpointerup = () => { view.onpointermove = null; };
  };
}

/* After a tool was chosen, its row in the form gets the focus once the form is drawn, and keeps it if that is drawn anew. */
function seek(data, mine, name) {
  const begun = Date.now();
  let found = 0, host = document.activeElement;
  clearInterval(mine.seeking);
  mine.seeking = setInterval(() => {
    const now = document.activeElement;
    const elsewhere = found && now && now !== document.body && now !== host && now !== mine.field;
    if (elsewhere || Date.now() - (found || begun) > (found ? 2000 : 8000)) { clearInterval(mine.seeking); return; }
    if (found && now === mine.field && now.isConnected) return;
    const drawing = document.querySelector('[data-testid="stApp"][data-test-script-state="running"]');
    if (drawing && Date.now() - begun < 6000) return;
    const scope = document.querySelector(data.scope);
    const titles = scope ? scope.querySelectorAll('[role="tabpanel"] :is(strong, h4, h5)') : [];
    const title = [...titles].find((one) => one.offsetParent && one.textContent.trim() === name && !one.closest("button"));
    if (!title) return;
    let row = title;
    while (row !== scope && !row.querySelector("input, select, textarea, button")) row = row.parentElement;
    mine.field = row.querySelector("input, select, textarea, button");
    if (!found) title.scrollIntoView({ block: "center" });
    found = found || Date.now();
    mine.field.focus({ preventScroll: true });
  }, 80);
}

/* Ctrl+Z and Ctrl+Shift+Z where nobody types; a field in which somebody stopped typing is taken over. */
function listen(mine) {
  if (mine.stop) mine.stop();
  const kinds = ["stTextArea", "stTextInput", "stNumberInput"].map((kind) => `[data-testid="${kind}"]`).join();
  const typed = (target) => target && target.closest && target.closest(kinds);
  const keys = (event) => {
    const target = event.composedPath()[0];
    const typing = target && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName || ""));
    if (typing || event.altKey || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    mine.send(event.shiftKey ? "redo" : "undo");
  };
  const input = (event) => {
    const target = event.target;
    if (!target.closest || !target.closest(mine.data.scope) || !typed(target)) return;
    clearTimeout(mine.timer);
    clearTimeout(mine.typing);
    mine.typing = setTimeout(() => {
      if (!target.isConnected || !mine.pictures.size) return;
      const enter = { key: "Enter", code: "Enter", keyCode: 13, which: 13, bubbles: true, cancelable: true };
      target.dispatchEvent(new KeyboardEvent("keydown", { ...enter, ctrlKey: target.tagName === "TEXTAREA" }));
      rest(mine);
    }, mine.data.pause);
  };
  const pressed = () => rest(mine);
  document.addEventListener("keydown", keys, true);
  document.addEventListener("input", input, true);
  document.addEventListener("pointerdown", pressed, true);
  mine.stop = () => {
    document.removeEventListener("pointerdown", pressed, true);
    document.removeEventListener("keydown", keys, true);
    document.removeEventListener("input", input, true);
  };
}

/* A while after the last change or press, say so once: then it is saved. A popover that is open is not drawn anew under
   somebody's hands; what is unsaved waits until it is closed. */
function rest(mine) {
  const { unsaved, quiet } = mine.data;
  clearTimeout(mine.timer);
  if (!unsaved || mine.quiet === unsaved) return;
  const due = () => {
    if (document.querySelector('[data-testid="stPopoverBody"]')) {
      mine.timer = setTimeout(due, quiet);
      return;
    }
    mine.quiet = unsaved;
    mine.send("quiet", unsaved);
  };
  mine.timer = setTimeout(due, quiet);
}
"""

_CSS = """
.canvas { font-family: var(--st-font); color: var(--st-text-color); }
.canvas .view { overflow: auto; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius);
  background: var(--st-secondary-background-color); }
.canvas.still .view { overflow: hidden; border: none; }
svg { display: block; }
rect { fill: var(--st-background-color); stroke: color-mix(in srgb, var(--st-text-color) 38%, transparent); }
.tool rect, .fold rect { stroke: var(--st-border-color); }
.fold rect { fill: none; stroke: transparent; pointer-events: all; }
.entry rect { stroke: var(--st-primary-color); stroke-width: 2; }
.doubtful rect { stroke: var(--st-red-text-color); stroke-dasharray: 6 4; }
.missing rect { stroke-dasharray: 2 4; fill: none; }
.chosen rect { stroke: var(--st-primary-color); stroke-width: 2.5;
  fill: color-mix(in srgb, var(--st-primary-color) 12%, var(--st-background-color)); }
text { font-size: 11px; fill: var(--st-text-color); pointer-events: none; }
text.name { font-size: 12.5px; font-weight: 600; }
.tool text.name { font-size: 12px; font-weight: 500; }
text.small { fill: color-mix(in srgb, var(--st-text-color) 68%, transparent); }
text.loud { fill: var(--st-red-text-color); font-weight: 600; }
text.note { fill: color-mix(in srgb, var(--st-text-color) 68%, transparent); font-style: italic; }
.line { fill: none; stroke: color-mix(in srgb, var(--st-text-color) 55%, transparent); stroke-width: 1.3; }
.line.tool { stroke: color-mix(in srgb, var(--st-text-color) 28%, transparent); stroke-width: 1; }
.line.asks { stroke-dasharray: 7 4; }
.line.missing { stroke: var(--st-red-text-color); stroke-dasharray: 2 4; }
.line.hot { stroke: var(--st-primary-color); stroke-width: 1.9; }
path.head.ink { fill: color-mix(in srgb, var(--st-text-color) 70%, transparent); }
path.head.hot { fill: var(--st-primary-color); }
path.head.gone { fill: var(--st-red-text-color); }
.canvas:not(.still) .node:not(.missing) { cursor: pointer; }
.node { outline: none; }
.canvas:not(.still) .node:not(.missing):hover rect { stroke: var(--st-primary-color); }
.node:focus-visible rect { stroke: var(--st-primary-color); stroke-width: 3.5; }
.bar { display: flex; gap: 0.35rem; align-items: center; justify-content: flex-end; margin-top: 0.3rem; min-height: 1.3rem; }
.bar span { flex: 1; font-size: 0.75rem; color: color-mix(in srgb, var(--st-text-color) 68%, transparent); }
.bar button { font: inherit; font-size: 0.78rem; color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.1rem 0.55rem; cursor: pointer; }
.bar button:hover, .bar button:focus-visible { border-color: var(--st-primary-color); outline: none; }
"""

_component = st.components.v2.component("workbench_canvas", html="<div class='canvas'></div>\n", css=_CSS, js=_JS)


@dataclass(frozen=True)
class Event:
    """What somebody did on the picture, or by key: chose an agent or a tool, folded tools, undid, redid, or fell quiet."""

    kind: Literal["pick", "fold", "folds", "unfolds", "undo", "redo", "quiet"]
    name: str = ""
    what: Literal["agent", "tool", ""] = ""


def draw(
    spec: FlowSpec,
    *,
    name: str,
    chosen: tuple[str, str] | None,
    folds: Mapping[str, bool],
    unsaved: str,
    scope: str,
    sought: tuple[int, str] = (0, ""),
    act: Callable[[Event], None],
    height: int = 430,
) -> None:
    """Draw a flow's network, the `chosen` (agent or tool, name) marked. `act` is called before the page is drawn.

    `unsaved` changes with each change that waits to be saved; the picture falls `quiet` with it after a while.
    `scope` is the selector of the forms whose fields are taken over after a pause in typing. `sought` is a running number
    and what to bring into view in the forms, once for each number.
    """
    made = diagram.picture(spec, folds)
    hidden = diagram.folded(spec, folds)
    buttons = (
        [["unfolds", "Show all tools"]] if any(hidden.values()) else [["folds", "Fold the tools"]] if hidden else []
    )
    key = f"canvas-{name}"
    _component(
        key=key,
        data={
            **_still(made, height),
            "still": False,
            "name": name,
            "token": session.kept(f"{key}-token", lambda: f"{name}-{id(object())}"),
            "seen": int(session.get(f"{key}-seen", 0)),
            "told": _told(spec),
            "legend": _legend(made),
            "chosen": {"kind": chosen[0], "name": chosen[1]} if chosen else None,
            "buttons": buttons,
            "unsaved": unsaved,
            "scope": scope,
            "sought": list(sought),
            "pause": PAUSE,
            "quiet": QUIET,
        },
        default={"events": None},
        on_events_change=lambda: _hear(key, act),
    )


def still(spec: FlowSpec, *, key: str, height: int = 150) -> None:
    """The network as a small picture that cannot be clicked."""
    made = diagram.picture(spec, dict.fromkeys(spec.agents, True))
    _component(
        key=key,
        data={**_still(made, height), "still": True, "name": key, "token": "", "told": _told(spec), "chosen": None},
        default={"events": None},
        on_events_change=lambda: None,
    )


def _still(made: diagram.Picture, height: int) -> dict[str, object]:
    return {"picture": asdict(made), "height": height}


def _hear(key: str, act: Callable[[Event], None]) -> None:
    """Pass on what was sent since the last time, in order."""
    given = (session.get(key) or {}).get("events") or {}
    listed = list(given.get("list", [])) if given.get("token") == session.get(f"{key}-token") else []
    seen = int(session.get(f"{key}-seen", 0))
    session.keep(f"{key}-seen", max(seen, len(listed)))
    for one in listed[seen:]:
        act(Event(one["kind"], str(one["name"]), one["what"]))


def _told(spec: FlowSpec) -> str:
    agents, tools = len(spec.agents), len(spec.tools)
    return (
        f"The network of {spec.flow}: {agents} agent{'' if agents == 1 else 's'}, {tools} tool{'' if tools == 1 else 's'}. "
        "The arrow keys go from one to the next; Enter opens its form."
    )


def _legend(made: diagram.Picture) -> str:
    """What the lines mean, of those that are on the picture."""
    kinds = {line.kind for line in made.lines}
    parts = ["An arrow: hands over."] if "handoff" in kinds else []
    parts += ["Two heads: both ways."] if any(line.both for line in made.lines) else []
    parts += ["Dashed arrow: is asked as a tool."] if "asks" in kinds else []
    parts += ["Dotted: does not exist."] if "missing" in kinds else []
    parts += (
        ["Broken frame: not reached or not used."]
        if any(box.doubtful and box.kind != "missing" for box in made.boxes)
        else []
    )
    return " ".join(parts)
