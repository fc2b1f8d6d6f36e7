"""Reports: milestones, models released, events, the year; every figure leads back to postings and artifacts."""
