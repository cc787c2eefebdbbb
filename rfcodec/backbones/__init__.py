"""Backbones of our own and loaders of foreign ones."""
