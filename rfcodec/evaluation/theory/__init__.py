"""The method on Gaussian sources: codebooks, bounds, moments in closed form and by the coder itself."""
