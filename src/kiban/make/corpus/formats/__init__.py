"""Readers: one file in, (id, text) records out. A reader holds one record at a time, never a whole corpus."""
