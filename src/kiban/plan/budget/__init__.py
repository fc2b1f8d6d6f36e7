"""Backwards: what a budget buys."""
