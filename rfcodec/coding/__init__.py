"""One GOP: the opened parts of a stream, the plan of its bits, its run, and its state after decoding."""
