"""The tokenizer: learned from the corpus, or taken over with a base model. Lossless on any text."""
