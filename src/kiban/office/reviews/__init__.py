"""Reviews: conflicts of interest, assignment, scores, calibration, discussion."""
