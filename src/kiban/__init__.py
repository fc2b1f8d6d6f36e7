"""kiban (基盤): make, prove and use foundation models, every step evidenced."""

__version__ = "0.1.0"
