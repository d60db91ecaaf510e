"""The editor of a draft: its working copy, and the forms, picture and YAML that change it."""

from workbench.ui.editor.agent_form import agent_form, rename_row
from workbench.ui.editor.conflict import clash
from workbench.ui.editor.gallery import missing, new_flow, put_away
from workbench.ui.editor.layout import bar, beside, found, is_wide, parts, picture
from workbench.ui.editor.schema_table import KINDS, OTHER
from workbench.ui.editor.settings_form import settings_form
from workbench.ui.editor.versions_form import versions_form
from workbench.ui.editor.working_copy import Work, again, begin, field_at, finish, popover, put, tidy, work
from workbench.ui.editor.yaml_form import yaml_form

__all__ = [
    "KINDS",
    "OTHER",
    "Work",
    "again",
    "agent_form",
    "bar",
    "begin",
    "beside",
    "clash",
    "field_at",
    "finish",
    "found",
    "is_wide",
    "missing",
    "new_flow",
    "parts",
    "picture",
    "popover",
    "put",
    "put_away",
    "rename_row",
    "settings_form",
    "tidy",
    "versions_form",
    "work",
    "yaml_form",
]
