"""The closed-form Gaussian video prior: no weights, any size, the oracle of the tests."""
