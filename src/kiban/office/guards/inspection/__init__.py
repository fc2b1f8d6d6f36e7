"""Looks inside an attached file for what could harm its reader; runs in a process of its own."""
