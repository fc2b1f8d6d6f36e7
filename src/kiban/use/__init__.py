"""使う: serving (OpenAI-compatible) and chat."""
