"""`/api/v1`: JSON over the office's services. One file per module, each with a `router`; no rule is decided here."""
