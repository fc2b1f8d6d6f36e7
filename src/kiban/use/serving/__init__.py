"""Serving a model over HTTP: an OpenAI-compatible API with continuous batching, and a chat page."""
