"""The conformance suite of the Triton backend: what `triton.language` promises, family by family, against NumPy."""
