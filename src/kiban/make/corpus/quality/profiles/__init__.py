"""One module for each profile: its RULES in order, and `define`, which makes what the rules ask for."""
