"""Requests that are sent twice are carried out once: answers kept by the caller's key, with their effects."""
