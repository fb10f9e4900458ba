"""Everything that people open: pages, model card, charts."""
