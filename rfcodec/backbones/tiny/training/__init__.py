"""How the weights of the tiny backbone were made: python -m rfcodec.backbones.tiny.training --help."""
