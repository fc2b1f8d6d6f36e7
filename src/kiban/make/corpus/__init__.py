"""Documents to a corpus: found, read, decoded, normalised, deduplicated, split, every drop counted with its reason."""
