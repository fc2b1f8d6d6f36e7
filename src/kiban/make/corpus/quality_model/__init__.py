"""A classifier of documents that is trained from one's own examples of good and bad ones."""
