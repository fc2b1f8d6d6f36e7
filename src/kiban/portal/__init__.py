"""What the office shows over HTTP: `/api/v1`, and pages over the same services."""
