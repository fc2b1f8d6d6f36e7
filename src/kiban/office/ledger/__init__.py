"""The ledger: double-entry, append-only, whole numbers, hash-chained; balances are sums of its postings."""
