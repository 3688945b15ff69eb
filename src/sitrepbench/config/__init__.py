"""Configuration: composed by Hydra, checked against signatures, and turned into content keys."""
