"""How wrong predictions are: published runs rerun, what is fitted to them, and what kiban's own runs metered."""
