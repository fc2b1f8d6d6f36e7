"""Evaluation: how well a model predicts documents it has not seen, and which answers it finds most likely."""
