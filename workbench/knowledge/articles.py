"""The committed articles: Markdown files with front matter, read into passages by collection."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from workbench import settings
from workbench.errors import Invalid, NotFound
from workbench.runtime.retrieval import Passage, split

_FOLDERS = {"help-center": "articles"}
"""Collection to its folder below `data/seed/`."""


class Article(BaseModel):
    """One help-centre article; `id` is its file name without `.md`, `text` the Markdown below the front matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    topic: str
    updated: date
    text: str


def names() -> list[str]:
    """Return the names of the known collections, sorted."""
    return sorted(_FOLDERS)


def articles(name: str) -> list[Article]:
    """Return the articles of collection `name`, sorted by id.

    Raises NotFound for an unknown collection and Invalid for a file whose front matter cannot be read.
    """
    if name not in _FOLDERS:
        raise NotFound(
            f"There is no collection named “{name}”.", remedy=f"The known collections are: {', '.join(names())}."
        )
    return [_read(path) for path in sorted((settings.load().seed / _FOLDERS[name]).glob("*.md"))]


def collection(name: str) -> list[Passage]:
    """Return the passages of collection `name`, in the order of their articles; raises as `articles` does."""
    return [passage for article in articles(name) for passage in split(article.id, article.title, article.text)]


def _read(path: Path) -> Article:
    remedy = "Begin it with `---`, the lines title, topic and updated (YYYY-MM-DD), and `---`."
    opening, *rest = path.read_text(encoding="utf-8").split("---\n", 2)
    if opening or len(rest) < 2:
        raise Invalid(f"The article {path.name} has no front matter.", remedy=remedy)
    try:
        return Article.model_validate({**yaml.safe_load(rest[0]), "id": path.stem, "text": rest[1].strip()})
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise Invalid(f"The front matter of the article {path.name} cannot be read.", remedy=remedy) from error
