"""The pages over a fresh office, and browsers without scripts that are signed in."""
