"""The forms of the prompt library: choose, write, restore, fill in; and what is shown of a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from workbench import prompts
from workbench.access import Actor
from workbench.errors import Conflict, WorkbenchError
from workbench.flows.uses import Setting, Use
from workbench.prompts import Remark, Version
from workbench.prompts.lint import Kind, secrets, tokens
from workbench.runtime.release import PromptText
from workbench.ui import nav, session, show
from workbench.ui.differences import compare

TITLES: dict[Kind, tuple[str, str]] = {
    "secret": ("key", "Looks like a secret"),
    "contradiction": ("compare_arrows", "Contradiction"),
    "variable": ("data_object", "Variable"),
    "tool": ("build", "Unknown tool"),
    "guardrail": ("shield", "Belongs in a guardrail"),
    "approval": ("approval", "Belongs in an approval rule"),
    "length": ("straighten", "Too long"),
    "duplicate": ("content_copy", "Said twice"),
    "vague": ("blur_on", "Cannot be checked"),
    "shouting": ("campaign", "Shouting"),
}


FIELDS = ("text", "purpose", "owner", "note")
NEW = "new prompt"

# ---- choosing --------------------------------------------------------------------------------------------------------


def choose(found: Sequence[Version], used: dict[str, list[Use]]) -> str:
    """Choose one of the prompts; the choice is in the address. Where the chosen one is not found any more, the first."""
    names = [one.name for one in found]
    if session.get("prompt", names[0]) not in names:
        session.keep("prompt", names[0])
        session.keep("version", found[0].number)
    return st.radio(
        "Prompts",
        names,
        key="prompt",
        bind="query-params",
        captions=[_caption(one, used) for one in found],
        label_visibility="collapsed",
        on_change=_newest,
        width="stretch",
    )


def _caption(one: Version, used: dict[str, list[Use]]) -> str:
    about = f"{one.purpose} " if one.purpose else ""
    return show.plain(f"{about}Version {one.number}" + ("" if one.name in used else ", unused"))


def number(found: Sequence[Version]) -> Version:
    """Choose a version; the newest one unless the address names another."""
    numbers = [one.number for one in found]
    chosen = st.selectbox("Version", numbers, key="version", bind="query-params", width=110)
    return found[numbers.index(chosen)]


def against(found: Sequence[Version], chosen: Version) -> Version:
    """Choose another version to compare with: the one before, unless the address names another."""
    others = [one for one in found if one.number != chosen.number]
    before = next((place for place, one in enumerate(others) if one.number < chosen.number), len(others) - 1)
    numbers = [one.number for one in others]
    picked = st.selectbox("Compared with version", numbers, before, key="against", bind="query-params", width=180)
    return others[numbers.index(picked)]


def _newest() -> None:
    """Another prompt was chosen: show its newest version."""
    with show.errors():
        session.keep("version", prompts.get(str(session.get("prompt"))).number)


# ---- showing ---------------------------------------------------------------------------------------------------------


def facts(one: Version, used: Sequence[Use], remarks: Sequence[Remark]) -> None:
    """A version in two lines: what it is for; who wrote it, how long it is, and what is to be looked at."""
    st.caption(show.plain(one.purpose or "No purpose given."))
    length = f"{one.length:,} characters, about {tokens(one.text):,} tokens"
    author = "shipped" if one.author == "shipped" else f"written by {one.author}"
    told = show.plain(f"Owner {one.owner or 'nobody'} · {author} · {length}")
    use = ":gray-badge[:material/link_off: unused]" if not used else f":blue-badge[:material/link: used {len(used)}×]"
    look = ":green-badge[:material/check: no remarks]"
    if remarks:
        look = f":orange-badge[:material/rule: {len(remarks)} remark{'' if len(remarks) == 1 else 's'}]"
    st.markdown(f"{use} {look} :small[{told}]")
    if one.note:
        st.caption(f":material/sticky_note_2: {show.plain(one.note)}")


def history(found: Sequence[Version]) -> None:
    """Every version as a table."""
    rows = pd.DataFrame(
        [
            {
                "version": one.number,
                "written": one.created_at,
                "by": one.author,
                "characters": one.length,
                "note": one.note,
                "purpose": one.purpose,
                "owner": one.owner,
            }
            for one in found
        ]
    )
    named = show.headings(rows.columns, {"written": show.moments("Written")})
    st.dataframe(rows, hide_index=True, key="prompt-versions", column_config=named)


def uses(found: Sequence[Use]) -> None:
    """Where a prompt is used, flow by flow with a link; says so where nothing uses it."""
    if not found:
        show.empty("Nothing uses this prompt", "Name it on the Flows page, as an agent's prompt.", icon="link_off")
        nav.link("flows", "Open the flows")
    for flow in dict.fromkeys(one.flow for one in found):
        with st.container(border=True):
            nav.link("flows", flow, {"flow": flow})
            for one in (one for one in found if one.flow == flow):
                follows = "" if one.fixed else ", and follows the newest"
                told = f"{one.words}: {one.agent} reads version {one.number}{follows}"
                st.markdown(show.plain(told[0].upper() + told[1:]))


def remarks(found: Sequence[Remark]) -> None:
    """Each remark with its sentence quoted, why it was made, and what to do."""
    if not found:
        st.caption(":material/check: Nothing to remark on. The rules about words read English.")
    for one in found:
        icon, title = TITLES[one.kind]
        quoted = (show.plain(" ".join(said.split())) for said in (one.beside, one.sentence) if said)
        with st.container(border=True):
            head = f":material/{icon}: **{title}**"
            st.markdown("\n\n".join([head, *(f"> {said}" for said in quoted), show.plain(f"{one.why} {one.remedy}")]))


def fill(name: str, text: str, given: Setting) -> None:
    """One input for each variable, and the text as an agent reads it."""
    variables = prompts.variables(text)
    if not variables:
        st.caption("This text has no variables; agents read it as it stands.")
    values = {
        one: st.text_input(one, given.values.get(one, ""), key=f"value-{name}-{one}", live=True, autocomplete="off")
        for one in variables
    }
    with show.errors():
        st.code(prompts.fill(name, text, values), language=None, wrap_lines=True)


# ---- writing ---------------------------------------------------------------------------------------------------------


def write(actor: Actor, found: Sequence[Version]) -> None:
    """Write the next version. Where somebody else saved one meanwhile, both texts are shown, and neither is lost."""
    _take_up(found)
    newest, began = found[0], _began(found)
    key = f"{began.name}-{began.number}"
    above = st.container()
    text = _fields(began, key)
    _leave(began, key)
    if newest.number == began.number:
        _button("Save as the next version", _save, actor, newest.name, key, newest.number)
        _confirm(key, _save, actor, newest.name, key, newest.number)
        return
    above.warning(
        f"{show.plain(newest.author)} saved version {newest.number} while you wrote. Your text is kept here; "
        "below it stands how the two differ.",
        icon=":material/group:",
    )
    compare(prompts.lines(newest.text, text), f"version {newest.number}", "yours")
    with st.container(horizontal=True):
        _button("Save mine after it", _save, actor, newest.name, key, newest.number)
        st.button("Take theirs", key="take-theirs", on_click=_take_theirs, args=(newest.name,))
    _confirm(key, _save, actor, newest.name, key, newest.number)


def _take_theirs(name: str) -> None:
    session.forget(f"base-{name}")
    session.to_desk(f"prompt-{name}", None)


def _take_up(found: Sequence[Version]) -> None:
    """After a reload: what this person was writing on the prompt, and the version it was begun from."""
    name = found[0].name
    if session.get(f"taken-up-{name}"):
        return
    session.keep(f"taken-up-{name}", True)
    left = session.from_desk(f"prompt-{name}")
    if not isinstance(left, dict) or left.get("base") not in {one.number for one in found}:
        return
    session.keep(f"base-{name}", left["base"])
    for part in FIELDS:
        session.keep(f"{part}-{name}-{left['base']}", str(left.get(part, "")))


def _leave(began: Version, key: str) -> None:
    """Leave what was written on the desk, so that a reload finds it; what looks like a secret is stored nowhere."""
    written = _written(key)
    before = {"text": began.text, "purpose": began.purpose, "owner": began.owner, "note": ""}
    if written == before:
        session.to_desk(f"prompt-{began.name}", None)
    elif _secrets(written):
        session.to_desk(f"prompt-{began.name}", None)
        st.caption(":material/key: It looks like it holds a secret, so it is not kept for you: a reload loses it.")
    else:
        session.to_desk(f"prompt-{began.name}", {"base": began.number, **written})


def _written(key: str) -> dict[str, str]:
    return {part: str(session.get(f"{part}-{key}") or "") for part in FIELDS}


def _secrets(written: Mapping[str, str]) -> list[Remark]:
    """The places of a text, and of what is said about it, that look like a password, key or card number."""
    return [one for text in written.values() for one in secrets(text)]


def _confirm(key: str, act: Callable[..., None], *given: object) -> None:
    """Where a text that looks like a secret was about to be saved: say so, and save it only when that is clicked."""
    warned = session.get(f"secret-{key}")
    written = _written(key)
    if not warned or warned != written:
        return
    for one in _secrets(written):
        st.warning(f"**Not saved yet.** {show.plain(one.why)}\n\n> {show.plain(one.sentence)}", icon=":material/key:")
    st.button("Save it all the same", key="Save it all the same", on_click=_act, args=(act, *given))


def _warned(key: str) -> bool:
    """Whether exactly this text was warned of before. Where it holds a secret and was not, the warning is shown next."""
    written = _written(key)
    if not _secrets(written) or session.get(f"secret-{key}") == written:
        session.forget(f"secret-{key}")
        return True
    session.keep(f"secret-{key}", written)
    return False


def _began(found: Sequence[Version]) -> Version:
    """The version that the form was begun from: the newest one, until somebody begins to write."""
    name, newest = found[0].name, found[0]
    base = session.kept(f"base-{name}", lambda: newest.number)
    began = next((one for one in found if one.number == base), newest)
    before = {"text": began.text, "purpose": began.purpose, "owner": began.owner}
    if all(session.get(f"{part}-{name}-{base}", value) == value for part, value in before.items()):
        session.keep(f"base-{name}", newest.number)
        return newest
    return began


def _fields(began: Version, key: str) -> str:
    """The fields of a version, to be written on; returns the text."""
    text = st.text_area(
        f"Text, from version {began.number}", began.text, height=320, key=f"text-{key}", persist_state="session"
    )
    with st.container(horizontal=True):
        st.text_input("Purpose", began.purpose, key=f"purpose-{key}", persist_state="session", width=420)
        st.text_input("Owner", began.owner, key=f"owner-{key}", persist_state="session", width=200)
    st.text_input("Note", key=f"note-{key}", placeholder="what changed, and why", persist_state="session")
    return text


def _save(actor: Actor, name: str, key: str, base: int) -> None:
    if not _warned(key):
        return
    written = _written(key)
    try:
        made = prompts.save(
            actor,
            name,
            written["text"],
            purpose=written["purpose"],
            owner=written["owner"],
            note=written["note"],
            base=base,
        )
    except Conflict:
        return  # The form finds a newer version now, and shows both texts.
    session.keep(f"base-{name}", made.number)
    session.to_desk(f"prompt-{name}", None)
    _done(f"Saved as version {made.number}." if made.number != base else "Nothing has changed yet.", made)


def restore(actor: Actor, old: Version, newest: Version) -> None:
    """Make an old text the newest version."""
    with st.popover("Make this the newest", icon=":material/restore:"):
        st.caption(f"Version {newest.number + 1} gets the text of version {old.number}; both old numbers stay.")
        st.text_input("Why?", key=f"why-{old.name}-{old.number}")
        _button("Make it the newest", _restore, actor, old, newest.number)


def _restore(actor: Actor, old: Version, base: int) -> None:
    note = str(session.get(f"why-{old.name}-{old.number}") or "")
    made = prompts.restore(actor, old.name, old.number, note=note, base=base)
    _done(f"Version {made.number} has the text of version {old.number}.", made)


def begin(actor: Actor) -> None:
    """Write a new prompt."""
    _take_up_new()
    with st.popover("New prompt", icon=":material/add:"):
        st.text_input(
            "Name",
            key=f"name-{NEW}",
            placeholder="order-desk/greeting",
            help="Small letters, digits, - and _; / for folders.",
        )
        st.text_input("Purpose", key=f"purpose-{NEW}", placeholder="what it makes an agent do")
        st.text_area("Text", key=f"text-{NEW}", height=160, placeholder="You greet customers of $shop_name.")
        _leave_new()
        _button("Write it", _begin, actor)
        _confirm(NEW, _begin, actor)


def _take_up_new() -> None:
    """After a reload: the new prompt that this person was writing."""
    if session.get(f"taken-up-{NEW}"):
        return
    session.keep(f"taken-up-{NEW}", True)
    left = session.from_desk(NEW)
    for part, value in left.items() if isinstance(left, dict) else ():
        if part in ("name", *FIELDS):
            session.keep(f"{part}-{NEW}", str(value))


def _leave_new() -> None:
    """Leave the new prompt on the desk, so that a reload finds it; what looks like a secret is stored nowhere."""
    written = {"name": str(session.get(f"name-{NEW}") or ""), **_written(NEW)}
    session.to_desk(NEW, written if any(written.values()) and not _secrets(written) else None)


def _begin(actor: Actor) -> None:
    if not _warned(NEW):
        return
    written = _written(NEW)
    name = str(session.get(f"name-{NEW}") or "").strip()
    made = prompts.save(actor, name, written["text"], purpose=written["purpose"], base=0)
    for key in (f"name-{NEW}", f"purpose-{NEW}", f"text-{NEW}", "prompt-words"):
        session.keep(key, "")
    session.keep("prompt-folder", "all")
    _done(f"{made.name} was written.", made)


def _button(label: str, act: Callable[..., None], *given: object) -> None:
    """A button whose act is done before the page is drawn again, so that the page shows what came of it.

    The act reads what was typed when it runs: what was drawn before may be older than the click.
    """
    st.button(label, type="primary", key=label, on_click=_act, args=(act, *given))


def _act(act: Callable[..., None], *given: object) -> None:
    try:
        act(*given)
    except WorkbenchError as error:
        session.keep("prompt-error", error)


def _done(words: str, made: PromptText) -> None:
    session.keep("told", words)
    session.keep("prompt", made.name)
    session.keep("version", made.number)


def told() -> None:
    """Once, above the rest: what the last act came to, or that the address names a prompt or version that is not there."""
    if words := session.get("told"):
        st.success(show.plain(words), icon=":material/check_circle:")
    if error := session.get("prompt-error"):
        show.failure(error)
    session.forget("told", "prompt-error")
    name, number = st.query_params.get("prompt", ""), st.query_params.get("version", "")
    if name and session.get("prompt") is None:
        with show.errors():
            prompts.get(f"{name}@{number}" if number else name)
