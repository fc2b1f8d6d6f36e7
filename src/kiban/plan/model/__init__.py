"""What is made: a decoder's structure, read and counted."""
