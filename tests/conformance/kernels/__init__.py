"""Kernels of the conformance suite, one module per family."""
