"""The Prompts page through the real app: read, compare, fill in, write, restore, and meet another editor."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from workbench import prompts
from workbench.access import Actor
from workbench.ui.session import ROLE

PAGE = str(ROOT / "pages" / "prompts.py")
NAME = "order-desk/refunds"
EVE = Actor("eve", "architect")


def opened(role: str = "architect", **address: str) -> AppTest:
    """The app on the page, acting in a role, from an address."""
    app = AppTest.from_file(str(ROOT / "workbench" / "app.py"), default_timeout=60)
    app.session_state[ROLE] = role
    app.run()
    for key, value in address.items():
        app.query_params[key] = value
    app.switch_page(PAGE).run()
    assert [e.message for e in app.exception] == []
    return app


def words(app: AppTest) -> str:
    """Everything that stands on the page as text, escapes taken away."""
    kinds = (app.markdown, app.caption, app.subheader, app.info, app.success, app.warning, app.error, app.code)
    return " ".join(str(e.value) for kind in kinds for e in kind).replace("\\", "")


def text_of(app: AppTest, number: int) -> str:
    """The key of the field that writes on from a version."""
    return f"text-{NAME}-{number}"


@pytest.fixture
def three(seeded: Path) -> Path:
    """The sample workspace, in which a prompt has three versions."""
    text = prompts.get(NAME).text
    prompts.save(EVE, NAME, text.replace("Look the order up", "Find the order"), note="Plainer.")
    prompts.save(EVE, NAME, text + "\n- Answer briefly.\n- Explain everything in detail.")
    return seeded


def test_the_address_opens_a_version_and_compares_it_with_another(three: Path) -> None:
    app = opened("rep", prompt=NAME, version="2", against="1")
    assert app.radio(key="prompt").value == NAME
    assert (app.selectbox(key="version").value, app.selectbox(key="against").value) == (2, 1)
    assert "Find the order before anything else" in app.code[0].value
    table = next(m.value for m in app.markdown if "version 1 → version 2" in m.value)
    assert ":red-background[~~Look~~]" in table
    assert ":green-background[**Find**]" in table
    assert "| − |" in table
    assert "| \\+ |" in table
    app.segmented_control(key="manner").set_value("Side by side").run()
    beside = next(m.value for m in app.markdown if "| version 1 |" in m.value)
    assert ":gray[3]− | \\- :red-background[~~Look~~]" in beside


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"prompt": "order-desk/refund"}, "There is no prompt order-desk/refund. Did you mean order-desk/refunds?"),
        ({"prompt": NAME, "version": "9"}, "There is no prompt order-desk/refunds@9. Its newest number is 1."),
        ({"prompt": NAME, "version": "x"}, "There is no prompt order-desk/refunds@x. Its newest number is 1."),
        ({"prompt": "../../etc/passwd"}, "There is no prompt ../../etc/passwd."),
        ({"prompt": "<img src=x onerror=alert(1)>"}, "There is no prompt <img src=x onerror=alert(1)>."),
    ],
)
def test_an_address_that_names_nothing_is_told_and_breaks_nothing(
    seeded: Path, address: dict[str, str], told: str
) -> None:
    app = opened(**address)
    assert told in app.error[0].value.replace("\\", "").replace("  \n", " ").replace("\u2060", "")
    assert "onerror=alert(1)>" not in app.error[0].value
    app.run()
    assert [e.value for e in app.error] == []


def test_the_list_is_searched_in_every_part_and_filtered_by_folder(seeded: Path) -> None:
    app = opened()
    assert set(app.selectbox(key="prompt-folder").options) >= {"all", "help-answers", "order-desk"}
    app.text_input(key="prompt-words").set_value("TRACKING parcel").run()
    assert app.radio(key="prompt").options == ["order-desk/shipping"]
    assert app.subheader[0].value.replace("\\", "") == "order-desk/shipping"
    app.text_input(key="prompt-words").set_value("").run()
    app.selectbox(key="prompt-folder").set_value("help-answers").run()
    assert app.radio(key="prompt").options == ["help-answers/answers"]
    app.text_input(key="prompt-words").set_value("zebra").run()
    assert "No prompts fit" in words(app)


def test_another_prompt_is_opened_at_its_newest_version(three: Path) -> None:
    app = opened(prompt=NAME, version="1")
    app.radio(key="prompt").set_value("order-desk/triage").run()
    assert app.selectbox(key="version").value == 1
    app.radio(key="prompt").set_value(NAME).run()
    assert app.selectbox(key="version").value == 3
    app.selectbox(key="version").set_value(1).run()
    app.text_input(key="prompt-words").set_value("triage").run()
    app.text_input(key="prompt-words").set_value("").run()
    app.radio(key="prompt").set_value(NAME).run()
    assert app.selectbox(key="version").value == 3


def test_versions_uses_and_remarks_are_told(three: Path) -> None:
    app = opened(prompt=NAME)
    text = words(app)
    assert "Draft: refunds reads version 3, and follows the newest" in text
    assert "Release v1, in production: refunds reads version 1" in text
    assert "1 remark" in text
    assert "> Answer briefly.\n\n> Explain everything in detail." in text
    table = app.dataframe[0].value
    assert list(table["version"]) == [3, 2, 1]
    assert list(table["note"]) == ["", "Plainer.", ""]
    assert list(table["by"]) == ["eve", "eve", "shipped"]


def test_what_nobody_uses_is_said_to_be_unused(seeded: Path) -> None:
    prompts.save(EVE, "order-desk/spare", "You wait.", purpose="Waits.")
    app = opened(prompt="order-desk/spare")
    assert "Nothing uses this prompt" in words(app)
    assert "There is one version so far" in words(app)


def test_the_form_fills_in_at_once_with_what_the_flow_gives(seeded: Path) -> None:
    app = opened("rep", prompt=NAME)
    assert app.text_input(key=f"value-{NAME}-shop_name").value == "Fernhill"
    assert "You handle refunds for Fernhill." in words(app)
    app.text_input(key=f"value-{NAME}-shop_name").set_value("$city & <b>Co</b>").run()
    assert "You handle refunds for $city & <b>Co</b>." in app.code[1].value


def test_all_missing_values_are_one_message(seeded: Path) -> None:
    prompts.save(EVE, "order-desk/greeting", "You greet at $shop_name in $city, $country.")
    app = opened(prompt="order-desk/greeting")
    assert [e.value.replace("\\", "").split("  \n")[0] for e in app.error] == [
        "order-desk/greeting has no value for $shop_name, $city, $country."
    ]


def test_a_next_version_is_written_with_a_note_and_shown(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("You refund for $shop_name.")
    app.text_input(key=f"note-{NAME}-1").set_value("Shorter.").run()
    app.button(key="Save as the next version").click().run()
    assert "Saved as version 2." in words(app)
    assert app.selectbox(key="version").value == 2
    assert app.code[0].value == "You refund for $shop_name."
    assert [one.note for one in prompts.versions(NAME)] == ["Shorter.", ""]
    assert app.text_area(key=text_of(app, 2)).value == "You refund for $shop_name."


def test_text_that_cannot_be_used_is_told_and_kept(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("Refund at most $50.").run()
    app.button(key="Save as the next version").click().run()
    assert "has a $ that names no variable" in words(app)
    assert app.text_area(key=text_of(app, 1)).value == "Refund at most $50."
    assert prompts.get(NAME).number == 1


@pytest.mark.parametrize("role", ["rep", "manager"])
def test_who_may_not_write_reads_everything_and_is_told_who_may(three: Path, role: str) -> None:
    app = opened(role, prompt=NAME, version="1")
    assert "You handle refunds" in app.code[0].value
    app.text_area(key=text_of(app, 3)).set_value("Mine.").run()
    app.button(key="Save as the next version").click().run()
    assert f"A {role} may not edit a prompt" in app.warning[0].value.replace("\\", "")
    assert app.text_area(key=text_of(app, 3)).value == "Mine."
    app.button(key="Make it the newest").click().run()
    assert f"A {role} may not edit a prompt" in app.warning[0].value.replace("\\", "")
    app.text_input(key="name-new prompt").set_value("order-desk/mine")
    app.text_area(key="text-new prompt").set_value("Mine.").run()
    app.button(key="Write it").click().run()
    assert f"A {role} may not edit a prompt" in app.warning[0].value.replace("\\", "")
    assert prompts.get(NAME).number == 3


def test_a_second_editor_sees_both_texts_and_chooses(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("Mine for $shop_name.").run()
    prompts.save(EVE, NAME, "Eve's for $shop_name.")
    app.button(key="Save as the next version").click().run()
    assert "eve saved version 2 while you wrote" in words(app)
    assert "version 2 → yours" in words(app)
    assert ":red-background[~~Eve's~~]" in words(app)
    assert ":green-background[**Mine**]" in words(app)
    assert prompts.get(NAME).number == 2
    app.button(key="Save mine after it").click().run()
    assert "Saved as version 3." in words(app)
    assert [one.text[:4] for one in prompts.versions(NAME)[:2]] == ["Mine", "Eve'"]


def test_the_second_editor_can_take_the_other_text(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("Mine for $shop_name.").run()
    prompts.save(EVE, NAME, "Eve's for $shop_name.")
    app.run()
    app.button(key="take-theirs").click().run()
    assert app.text_area(key=text_of(app, 2)).value == "Eve's for $shop_name."


def test_a_form_that_nobody_touched_follows_the_newest_version(seeded: Path) -> None:
    app = opened(prompt=NAME)
    prompts.save(EVE, NAME, "Eve's for $shop_name.")
    app.run()
    assert app.text_area(key=text_of(app, 2)).value == "Eve's for $shop_name."


def test_an_old_text_is_made_the_newest(three: Path) -> None:
    app = opened(prompt=NAME, version="1")
    app.text_input(key=f"why-{NAME}-1").set_value("It read better.").run()
    app.button(key="Make it the newest").click().run()
    assert "Version 4 has the text of version 1." in words(app)
    assert app.selectbox(key="version").value == 4
    assert prompts.versions(NAME)[0].note == "It read better."
    assert prompts.get(NAME).text == prompts.get(f"{NAME}@1").text


def test_a_new_prompt_is_written_and_opened(seeded: Path) -> None:
    app = opened()
    for name, told in (("../secrets", "is not a prompt name"), (NAME, "There is a prompt called order-desk/refunds")):
        app.text_input(key="name-new prompt").set_value(name)
        app.text_area(key="text-new prompt").set_value("You greet.").run()
        app.button(key="Write it").click().run()
        assert told in words(app)
    app.text_input(key="name-new prompt").set_value(" order-desk/greeting ")
    app.text_input(key="purpose-new prompt").set_value("Greets.").run()
    app.button(key="Write it").click().run()
    assert "order-desk/greeting was written." in words(app)
    assert app.radio(key="prompt").value == "order-desk/greeting"
    assert prompts.find("greeting")[0].purpose == "Greets."


def test_the_first_prompt_is_written_from_the_empty_page(migrated: Path) -> None:
    app = opened()
    assert "No prompts yet" in words(app)
    app.text_input(key="name-new prompt").set_value("greeting")
    app.text_area(key="text-new prompt").set_value("You greet.").run()
    app.button(key="Write it").click().run()
    assert app.radio(key="prompt").value == "greeting"
    assert app.code[0].value == "You greet."


def test_hostile_text_in_a_prompt_stays_text(seeded: Path) -> None:
    evil = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) | **x** :red[y] appropriately"
    prompts.save(EVE, "evil", evil, purpose=evil, note=evil, owner=evil)
    prompts.save(EVE, "evil", f"{evil} and more", purpose=evil, owner=evil)
    app = opened(prompt="evil", version="1")
    shown = [str(e.value) for kind in (app.markdown, app.caption) for e in kind if "onerror" in str(e.value)]
    assert len(shown) >= 4
    for text in (*shown, *app.radio(key="prompt").proto.captions):
        if "onerror" in text:
            assert "\\<img" in text
            assert "](javascript" not in text
            assert "| **x**" not in text
    assert not any(m.allow_html for m in app.markdown if "onerror" in m.value)


LEAKED = "You greet. The password is hunter2secret9."


def test_what_is_being_written_is_there_again_after_a_reload(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("Half a thought for $shop_name.").run()
    app.text_input(key=f"note-{NAME}-1").set_value("Softer.").run()
    again = opened(prompt=NAME)
    assert again.text_area(key=text_of(again, 1)).value == "Half a thought for $shop_name."
    assert again.text_input(key=f"note-{NAME}-1").value == "Softer."
    again.button(key="Save as the next version").click().run()
    assert prompts.get(NAME).text == "Half a thought for $shop_name."
    assert opened(prompt=NAME).text_area(key=text_of(again, 2)).value == "Half a thought for $shop_name."


def test_what_was_being_written_when_a_colleague_saved_meets_both_texts_after_a_reload(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value("Mine.").run()
    prompts.save(EVE, NAME, "Eve's.")
    again = opened(prompt=NAME)
    assert "eve saved version 2 while you wrote" in words(again)
    again.button(key="take-theirs").click().run()
    assert opened(prompt=NAME).text_area(key=text_of(again, 2)).value == "Eve's."


def test_a_new_prompt_that_is_being_written_is_there_again_after_a_reload(seeded: Path) -> None:
    app = opened()
    app.text_input(key="name-new prompt").set_value("order-desk/greeting")
    app.text_area(key="text-new prompt").set_value("You greet.").run()
    again = opened()
    assert again.text_input(key="name-new prompt").value == "order-desk/greeting"
    again.button(key="Write it").click().run()
    assert prompts.get("order-desk/greeting").text == "You greet."
    assert opened().text_area(key="text-new prompt").value == ""


def test_a_text_with_a_secret_is_stored_only_on_a_second_click(seeded: Path) -> None:
    app = opened(prompt=NAME)
    app.text_area(key=text_of(app, 1)).set_value(LEAKED).run()
    assert opened(prompt=NAME).text_area(key=text_of(app, 1)).value != LEAKED
    app.button(key="Save as the next version").click().run()
    assert "Not saved yet. This looks like a password, key or card number." in words(app).replace("**", "")
    assert prompts.versions(NAME)[0].number == 1
    app.text_area(key=text_of(app, 1)).set_value(f"{LEAKED} Again.").run()
    assert not [one for one in app.button if one.key == "Save it all the same"]
    app.button(key="Save as the next version").click().run()
    app.button(key="Save it all the same").click().run()
    assert "Saved as version 2." in words(app)
    assert prompts.get(NAME).text == f"{LEAKED} Again."
    app.run()
    assert "Saved as version 2." not in words(app)
    assert "Not saved yet" not in words(app)


def test_the_open_tab_is_in_the_address(seeded: Path) -> None:
    app = opened(**{"prompt": NAME, "prompt-tab": "Write"})
    assert app.session_state["prompt-tab"] == "Write"
