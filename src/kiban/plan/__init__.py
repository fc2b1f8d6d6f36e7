"""見積 What a model will cost before anyone pays for it: arithmetic over shapes, hardware and prices, never torch."""
