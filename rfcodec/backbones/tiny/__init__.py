"""A small pixel-space video flow, trained by this project, whose weights ship in the package."""
