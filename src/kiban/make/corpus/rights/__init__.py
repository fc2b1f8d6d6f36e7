"""Rights: whose a document is, what it may be used for, what a policy lets pass, and its withdrawal."""
