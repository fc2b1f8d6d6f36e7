"""Calls for proposals: themes, budget, rubric, dates, tracks and the constraints an award must keep."""
