"""Learn from labelled sentences of news articles what a text argues for, and label new articles."""

__version__ = "0.1.0"
