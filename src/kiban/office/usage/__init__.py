"""Usage: what ran, read from the schedulers as often as one likes, posted once, and held against other records."""
