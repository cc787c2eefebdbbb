"""Integers and bytes only: nothing here knows a tensor or a model."""
