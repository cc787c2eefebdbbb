"""One GOP: the opened parts of a stream, what its bits are spent on, and what a decoder holds of it."""
