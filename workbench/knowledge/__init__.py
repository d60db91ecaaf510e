"""What the flows know: the committed articles, cut into passages that an answer can cite."""

from workbench.knowledge.articles import Article, articles, collection, names

__all__ = ["Article", "articles", "collection", "names"]
