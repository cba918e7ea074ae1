"""The pure Certificate Transparency core: trees, heads, entries, names, decisions."""
