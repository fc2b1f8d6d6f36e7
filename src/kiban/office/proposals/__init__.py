"""Proposals: what an organisation wants to make, with what, and what `kiban plan` says of it."""
