"""The pages, one file for each area of the programme."""

AREAS = ("account", "home", "ledger", "review_desk", "reviews", "style")
