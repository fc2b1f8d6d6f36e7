"""The pages, one file for each area of the programme."""

AREAS = (
    "account",
    "audit",
    "calls",
    "figures",
    "home",
    "ledger",
    "members",
    "playground",
    "proposals",
    "review_desk",
    "reviews",
    "style",
)
