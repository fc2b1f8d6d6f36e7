"""The pages as people meet them: in Chromium, over a server of its own and a copy of the demonstration season."""
