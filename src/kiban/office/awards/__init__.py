"""Awards: who gets how much, chosen by optimisation, decided by people, and recorded so that it can be replayed."""
