"""Files, cache, other programs, words of options."""
