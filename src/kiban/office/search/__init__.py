"""Search over proposals in Japanese and English by runs of characters (NFKC), on both databases alike."""
