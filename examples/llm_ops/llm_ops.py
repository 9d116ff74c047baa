"""The operators of a decoder: `opwright build llm_ops.py -o libllm_ops.so` makes one library of them."""

import paged_attention  # noqa: F401
import rms_norm  # noqa: F401
import rotary  # noqa: F401
import sampling  # noqa: F401
import w4a16  # noqa: F401
