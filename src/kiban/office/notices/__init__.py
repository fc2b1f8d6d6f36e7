"""Mail and webhooks: written with what they tell of in one transaction, sent afterwards, once per cause."""
