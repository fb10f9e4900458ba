"""From data to registered champion."""
