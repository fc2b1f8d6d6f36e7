"""Letters to applicants and the decision record, as pages in Japanese and English that can be printed."""
