"""Search over proposals in Japanese and English: NFKC character bigrams, on both databases alike."""
