"""Commands: one file per noun, thin as the pages."""
