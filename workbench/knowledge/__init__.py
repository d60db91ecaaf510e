"""What the flows know: the committed articles, cut into passages that an answer can cite."""
