"""Integers and bytes only: no module here computes with tensors or calls a model."""
