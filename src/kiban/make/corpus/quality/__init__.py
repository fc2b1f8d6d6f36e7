"""Quality of documents: published sets of rules for Japanese text, kiban's own, and what their rules measure."""
