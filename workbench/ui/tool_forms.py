"""The forms of a flow's tools: which it declares and how, their effect, their approval, and trying one alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from workbench import flows
from workbench.errors import Invalid
from workbench.flows import trial
from workbench.runtime import mcp_tools, spec, tools
from workbench.runtime.mcp_tools import Offered
from workbench.runtime.spec import EFFECTS
from workbench.ui import mock_forms, parameter_forms, session, show
from workbench.ui.editor import Work, again, field_at, tidy

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SILENT = "It has no description; the model will not know when to call it."
NONE: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def tools_form(copy: Work) -> None:
    """Which tools the flow declares, their effect and when they need approval; how to declare more, and to try one."""
    known = tools.catalogue()
    declared = copy.body.get("tools", {})
    names = list(dict.fromkeys([*declared, *known]))

    def of(chosen: list[str]) -> dict[str, Any]:
        kept = {name: one for name, one in copy.body.get("tools", {}).items() if name in chosen}
        return {**kept, **{name: _python(name) for name in chosen if name not in kept}}

    st.multiselect("Tools of this flow", names, list(declared), **field_at(copy, ("declared",), "tools", read=of))
    for name, tool in declared.items():
        _tool_row(copy, name, tool)
    st.caption("More tools")
    for title, icon, form in MORE:
        fold = st.expander(title, icon=f":material/{icon}:", key=copy.key("fold", title), on_change="rerun")
        if fold.open:
            with fold, show.errors():
                form(copy)


def _python(name: str) -> dict[str, Any]:
    """A function of the catalogue as a flow declares it."""
    found = tools.catalogue().get(name)
    return {"kind": "python", "call": name, "effect": found.effect if found else "read"}


def _tool_row(copy: Work, name: str, tool: Mapping[str, Any]) -> None:
    kind = tool.get("kind", "python")
    found = tools.catalogue().get(tool.get("call", "")) if kind == "python" else None
    about = found.description if found else tool.get("description", "") if kind != "python" else "not in the catalogue"
    with st.container(border=True):
        left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
        left.markdown(f"**{show.plain(name)}**  \n{show.plain(about or _SILENT)}")
        effect = tool.get("effect", None if kind == "mcp" else "read")
        middle.selectbox(
            "Effect",
            EFFECTS,
            None if effect is None else EFFECTS.index(effect),
            placeholder="Not stated",
            **field_at(copy, ("effect", name), "tools", name, "effect"),
        )
        with right:
            _limit(copy, name, tool, found.parameters if found else tool.get("parameters", {}))
        if behind := _behind(tool):
            st.caption(show.plain(behind))
        _folds(copy, name, tool)


def _limit(copy: Work, name: str, tool: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Above which amount a person is asked, where the tool takes one."""
    numbers, rules = _numbers(parameters), tool.get("approve")
    if numbers and (rules is None or isinstance(rules, dict)):
        argument = next((n for n in numbers if n in (rules or {})), numbers[-1])
        above = (rules or {}).get(argument, {}).get("above")

        def of(limit: float | None) -> dict[str, Any] | None:
            return _approval(rules or {}, argument, limit)

        st.number_input(
            f"Approval if {show.plain(argument)} above",
            value=None if above is None else float(above),
            min_value=0.0,
            placeholder="never",
            **field_at(copy, ("above", name), "tools", name, "approve", read=of),
        )
    elif rules:
        st.caption("A person is always asked." if rules == "always" else "When a person is asked: see the YAML tab.")


def _behind(tool: Mapping[str, Any]) -> str:
    """What stands behind a tool that is no function of the catalogue."""
    return {
        "http": f"{tool.get('method', 'GET')} {tool.get('url', '')}",
        "mcp": f"The tool {tool.get('tool', '')} of the server {tool.get('server', '')}",
        "mock": "A mock: nothing stands behind it yet",
        "agent": f"Asks the agent {tool.get('agent', '')}",
    }.get(str(tool.get("kind", "python")), "")


def _folds(copy: Work, name: str, tool: Mapping[str, Any]) -> None:
    """What can be opened below a tool: what it takes, trying it, and changing what was declared."""
    folds: list[tuple[str, str, Callable[[], None]]] = [
        ("What it takes", "description", lambda: _documentation(copy, name)),
        ("Try it alone", "play_arrow", lambda: _try(copy, name)),
    ]
    if tool.get("kind") in CHANGE:
        folds.append(("Change it", "edit", lambda: CHANGE[tool["kind"]](copy, name, tool)))
    for title, icon, draw in folds:
        fold = st.expander(
            title, icon=f":material/{icon}:", type="compact", key=copy.key("fold", title, name), on_change="rerun"
        )
        if fold.open:
            with fold, show.errors():
                draw()


def _documentation(copy: Work, name: str) -> None:
    parameter_forms.documentation(trial.described(copy.spec, name).parameters)


def _try(copy: Work, name: str) -> None:
    """Fill in the arguments and call the tool: by a mock where one fits, else for real once that is confirmed."""
    mocks = mock_forms.tried(copy.flow)
    told = trial.described(copy.spec, name)
    kept = f"trial-{copy.flow}-{name}"
    with st.form(copy.key("try", name), border=False):
        arguments = parameter_forms.inputs(copy.key("argument", name), told.parameters)
        confirmed = told.effect == "read"
        if told.effect != "read" and copy.body["tools"].get(name, {}).get("kind") != "mock":
            st.warning(f"This tool is {told.effect}: for real, it changes something.", icon=":material/front_hand:")
            confirmed = st.checkbox("Call it for real, unless a mock fits", key=copy.key("really", name))
        if st.form_submit_button("Call", type="primary", key=copy.key("call", name)):
            session.forget(kept)
            with st.spinner(f"Calling {name}"):
                call = trial.try_tool(session.actor(), copy.spec, name, arguments, mocks, confirmed=confirmed)
                session.keep(kept, asyncio.run(call))
    if (tried := session.get(kept)) is not None:
        _tried(tried)


def _tried(tried: trial.Trial) -> None:
    by = "A mock" if tried.mocked else "The tool"
    if tried.error:
        st.error(
            show.plain(f"{by} gave no answer (after {_time(tried.seconds)}). {tried.error}"), icon=":material/error:"
        )
        st.caption(
            "An agent reads the same words instead of an answer. Check what you filled in; where that is right, the "
            "fault is in what stands behind the tool."
        )
        return
    st.caption(f"{by} answered in {_time(tried.seconds)}, with {len(tried.answer):,} characters.")
    st.code(tried.answer[:5000] + ("…" if len(tried.answer) > 5000 else ""), language=None, wrap_lines=True)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _declare_http(copy: Work) -> None:
    st.caption(
        "A request to a web service. Arguments in braces go into the URL, the others into the query or the body."
    )
    _http_fields(copy, "", {"method": "GET", "url": "", "effect": "read", "description": "", "parameters": NONE})


def _http_fields(copy: Work, name: str, tool: Mapping[str, Any]) -> None:
    new, key = not name, ("http", name)
    if new:
        name = st.text_input("Name", key=copy.key(*key, "name"), placeholder="find_customer", persist_state="session")
    left, right = st.columns([1, 4])
    method = left.selectbox(
        "Method",
        METHODS,
        METHODS.index(tool.get("method", "GET")),
        key=copy.key(*key, "method"),
        persist_state="session",
    )
    url = right.text_input(
        "URL",
        tool["url"],
        key=copy.key(*key, "url"),
        placeholder="https://crm.example/orders/{order_id}",
        persist_state="session",
    )
    description = st.text_input(
        "Description",
        tool["description"],
        key=copy.key(*key, "about"),
        persist_state="session",
        help="The model reads it to know when to call the tool.",
    )
    effect = _effect(copy, key, tool) if new else tool["effect"]
    headers = st.text_area(
        "Headers, one a line",
        "\n".join(f"{one}: {value}" for one, value in tool.get("headers", {}).items()),
        key=copy.key(*key, "headers"),
        persist_state="session",
        height=80,
        placeholder="Authorization: Bearer secret:crm",
        help="`secret:crm` stands for the value of WORKBENCH_SECRET_CRM, which only the server knows.",
    )
    parameters = parameter_forms.table(copy.key(*key, "parameters"), tool["parameters"], disabled=copy.locked)
    made = {
        **tool,
        "kind": "http",
        "method": method,
        "url": url,
        "description": description,
        "effect": effect,
        "headers": _headers(headers),
        "parameters": parameters,
    }
    _take(copy, name, made, new=new, ready=bool(name and url))


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        name, mark, value = line.partition(":")
        if not mark:
            raise Invalid(f"The header {line.strip()!r} has no value.", remedy="Write it as Name: value.")
        found[name.strip()] = value.strip()
    return found


def _declare_mock(copy: Work) -> None:
    st.caption("A tool that is not there yet: what it takes and what it answers. It can be tried, and not promoted.")
    _mock_fields(copy, "", {"effect": "read", "description": "", "parameters": NONE})


def _mock_fields(copy: Work, name: str, tool: Mapping[str, Any]) -> None:
    new, key = not name, ("mock", name)
    if new:
        name = st.text_input("Name", key=copy.key(*key, "name"), placeholder="check_warranty", persist_state="session")
    description = st.text_input(
        "Description", tool["description"], key=copy.key(*key, "about"), persist_state="session"
    )
    effect = _effect(copy, key, tool) if new else tool["effect"]
    parameters = parameter_forms.table(copy.key(*key, "parameters"), tool["parameters"], disabled=copy.locked)
    answers = mock_forms.table(copy.key(*key, "answers"), tool.get("answers", []))
    made = {**tool, "kind": "mock", "description": description, "effect": effect, "parameters": parameters}
    _take(copy, name, {**made, "answers": answers}, new=new, ready=bool(name))


def _effect(copy: Work, key: tuple[str, ...], tool: Mapping[str, Any]) -> str:
    chosen = st.segmented_control(
        "Effect",
        EFFECTS,
        default=tool["effect"],
        key=copy.key(*key, "effect-new"),
        required=True,
        persist_state="session",
    )
    return str(chosen or tool["effect"])


def _take(copy: Work, name: str, made: Mapping[str, Any], *, new: bool, ready: bool) -> None:
    """The button that writes a declared tool into the flow. What is wrong with the tool is told, and nothing changed."""
    title = "Declare it" if new else "Take over"
    key = copy.key("take", str(made["kind"]), "" if new else name)
    if not st.button(title, key=key, type="primary", disabled=copy.locked or not ready):
        return
    declared = copy.body.get("tools", {})
    if new and (name in declared or name in tools.catalogue()):
        raise Invalid(f"There is a tool called {name} already.", remedy="Choose another name.")
    _write(copy, name, made)


def _write(copy: Work, name: str, made: Mapping[str, Any]) -> None:
    """Write a tool into the flow. Raises Invalid naming what is wrong with it; then nothing is changed."""
    body = tidy({**copy.body, "tools": {**copy.body.get("tools", {}), name: dict(made)}})
    if wrong := flows.errors_of(spec.parse(body), f"tools.{name}"):
        raise Invalid(f"{name} cannot be declared like this.  \n" + "\n".join(wrong))
    copy.replace(body)
    again()


def _pick(copy: Work) -> None:
    known = mcp_tools.servers()
    if not known:
        st.caption("No tool server is connected to this workbench. Ask who runs it to connect one.")
        with st.expander("For who runs it", type="compact"):
            st.caption(
                "Write a YAML file with `docs: {command: [python, server.py]}` or `docs: {url: https://…}`, "
                f"name it in `{mcp_tools.VARIABLE}`, and start the workbench again."
            )
        return
    server = st.selectbox("Server", list(known), key=copy.key("server"))
    kept = f"offered-{server}"
    if st.button("List its tools", key=copy.key("list-server"), icon=":material/refresh:"):
        session.forget(kept)
        with st.spinner(f"Asking {server}"):
            session.keep(kept, asyncio.run(mcp_tools.offered(server)))
    offered: list[Offered] = session.get(kept, [])
    if not offered:
        return
    names = [one.name for one in offered]
    one = offered[names.index(st.selectbox("Tool", names, key=copy.key("offered", server)))]
    st.markdown(show.plain(one.description or _SILENT))
    parameter_forms.documentation(one.parameters)
    name = st.text_input("Name in this flow", _named(one.name), key=copy.key("picked-name", server, one.name))
    effect = _effect(copy, ("picked", server, one.name), {"effect": "write"})
    made = {"kind": "mcp", "server": server, "tool": one.name, "effect": effect, "description": one.description}
    present = copy.body.get("tools", {}).get(name)
    if present is not None and (present.get("kind"), present.get("server")) == ("mcp", server):
        st.caption(f"{show.plain(name)} is declared already; picking it again takes over what the server offers now.")
    else:
        present = None
    if st.button("Pick it", key=copy.key("pick", server), type="primary", disabled=copy.locked or not name):
        if present is None and (name in copy.body.get("tools", {}) or name in tools.catalogue()):
            raise Invalid(f"There is a tool called {name} already.", remedy="Choose another name.")
        rest = {key: present[key] for key in ("approve", "timeout", "fallback") if present and key in present}
        body = {**made, **rest, "parameters": one.parameters}
        _write(copy, name, body)


def _named(offered: str) -> str:
    """A name that a flow may use for what a server calls `offered`."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "_-") else "_" for one in offered)
    return plain if plain[:1].isalpha() else f"tool_{plain}"


def _mocks(copy: Work) -> None:
    mock_forms.tries(copy.flow, copy.key("try-mocks"), list(copy.body.get("tools", {})))


def _numbers(parameters: Mapping[str, Any]) -> list[str]:
    properties = parameters.get("properties", {})
    if not isinstance(properties, Mapping):
        return []
    return [
        n
        for n, p in properties.items()
        if isinstance(p, Mapping) and (p.get("type") == "number" or (p.get("type") == "integer" and "amount" in n))
    ]


def _approval(rules: Mapping[str, Any], argument: str, limit: float | None) -> dict[str, Any] | None:
    kept = {k: v for k, v in rules.items() if k != argument}
    rule = {k: v for k, v in rules.get(argument, {}).items() if k != "above"}
    if limit is not None:
        rule["above"] = limit
    if rule:
        kept[argument] = rule
    return kept or None


CHANGE: dict[str, Callable[[Work, str, Mapping[str, Any]], None]] = {"http": _http_fields, "mock": _mock_fields}

MORE: tuple[tuple[str, str, Callable[[Work], None]], ...] = (
    ("Declare an HTTP tool", "http", _declare_http),
    ("Declare a mock", "theater_comedy", _declare_mock),
    ("Pick from a server", "dns", _pick),
    ("Mocks for trying", "science", _mocks),
)
