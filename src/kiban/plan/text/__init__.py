"""Estimates and lists as text for the terminal."""
