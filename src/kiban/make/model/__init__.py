"""The model: from a shape or a base model, over packed tokens, to weights that every standard tool reads."""
