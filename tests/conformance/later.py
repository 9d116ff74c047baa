"""What the language of an older Triton lacks, or means otherwise: there the tests of it are expected to fail, and must.

Each entry: the first version that has it, node ids of tests (a regular expression), what it is.
"""

LATER = [
    ("3.9", r"test_atomic_loads_and_stores|test_poll$", "tl.atomic_load, tl.atomic_store, tl.atomic_poll"),
    ("3.9", r"test_integer_ternary", "tl.clamp of integers"),
    ("3.9", r"test_float_with_constant\[.*--0\.0\]", "the sign of a constant -0.0"),
    ("3.9", r"test_divisions\[fdiv_approx\]", "tl.fdiv(approx=)"),
    ("3.9", r"test_math.py::test_softmax$", "tl.softmax along the last axis of a tile"),
    ("3.9", r"test_extremes_of_floats\[.*max_nan-bf16\]", "tl.reduce of bf16 with a function that widens"),
    ("3.9", r"test_scan.py::test_integers\[(?!\(\(1, 64\), 0\)).*-cumprod-[iu](8|16)\]", "tl.cumprod in 32 bits"),
    ("3.9", r"test_flip\[.*-None\]", "tl.flip without a dimension"),
    ("3.9", r"test_topk\[1-8-1-", "tl.topk of one element"),
    ("3.8", r"test_topk", "tl.topk(descending=)"),
    ("3.8", r"test_gather\[.*-int16\]", "int16 indices of a descriptor's gather"),
    ("3.8", r"test_ranks\[", "a constexpr tuple as the block shape of a descriptor"),
    ("3.8", r"test_permute|test_types_that_are_only_moved", "a constexpr tuple as the order of tl.permute"),
    ("3.8", r"test_float_unary", "the sign of -x where x is 0"),
    ("3.8", r"test_hints_change_nothing\[.cs-.cs-", "the cache modifier .cs of a load"),
]
