"""Continuous mathematics of the rectified flow: one function per equation."""
