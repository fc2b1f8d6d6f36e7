"""Providers of computing, their pools of accelerators, what is delivered when, and what people say they will need."""
