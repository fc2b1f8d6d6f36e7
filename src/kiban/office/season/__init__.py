"""A season of a fictional programme, played through the office's own services: something to look at and to test with.

Everybody and everything in it is invented, and every address ends in example.jp, which reaches nobody. The same version
of kiban plays the same season again: the same rows and the same ledger, hash for hash.
"""
