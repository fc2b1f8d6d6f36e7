"""モデルカード: what a model is, from what, how, at what cost and how good; every figure read from evidence."""
