"""Grants: an award while it runs — tranches, accounts on the cluster, limits, change requests, alerts."""
