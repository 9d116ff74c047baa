"""llm::top_k_sampling: the next token of each sequence, drawn from its most likely ones, and which those were."""

import numpy as np
import triton
import triton.language as tl

import opwright.plugin as trtp


@triton.jit
def _ordered(bits):
    """Bits of a float as an integer of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _count(values_ptr, n, least, BLOCK: tl.constexpr):
    """How many of n values are at least that."""
    count = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        count += (tl.load(values_ptr + at, mask=at < n, other=-float("inf")) >= least).to(tl.int32)
    return tl.sum(count, 0)


@triton.jit
def _kth(values_ptr, n, k, largest, BLOCK: tl.constexpr):
    """The k-th largest of n values, or of fewer the smallest finite float: halves the range of floats until k are in it."""
    # k values are at or above `low`, as far as there are so many, and fewer at or above `high`
    low = tl.full((), -(2**31) + 2**23, tl.int64)
    high = _ordered(largest.to(tl.int32, bitcast=True)).to(tl.int64) + 1
    count = -1
    while (high - low > 1) & (count != k):
        middle = (low + high) >> 1
        count = _count(values_ptr, n, _ordered(middle.to(tl.int32)).to(tl.float32, bitcast=True), BLOCK)
        low = tl.where(count >= k, middle, low)
        high = tl.where(count >= k, high, middle)
    return _ordered(low.to(tl.int32)).to(tl.float32, bitcast=True)


@triton.jit(debug=True)
def threshold_kernel(
    logits_ptr, values_ptr, tokens_ptr, facts_ptr, lengths_ptr, starts_ptr, vocabulary, k, temperature, min_p,
    BLOCK: tl.constexpr, FEW: tl.constexpr,
):  # fmt: skip
    """The largest logit of a row, the least of a candidate, and how many candidates there are. One row per program.

    The largest of every BLOCK-th logit are k logits or more, so no candidate is below the k-th of them: few are left to look at.
    """
    row = tl.program_id(0)
    logits_ptr += row.to(tl.int64) * vocabulary
    values_ptr += row.to(tl.int64) * vocabulary
    tokens_ptr += row.to(tl.int64) * vocabulary
    maxima = tl.full((BLOCK,), -float("inf"), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        maxima = tl.maximum(maxima, tl.load(logits_ptr + at, mask=at < vocabulary, other=-float("inf")).to(tl.float32))
    largest = tl.max(maxima, 0)
    tl.device_assert((largest > -float("inf")) & (largest < float("inf")), "the largest logit of a row is not finite")
    tl.store(values_ptr + tl.arange(0, BLOCK), maxima, mask=tl.arange(0, BLOCK) < vocabulary)
    cutoff = largest + temperature * tl.log(min_p)
    bound = tl.maximum(_kth(values_ptr, tl.minimum(BLOCK, vocabulary), k, largest, FEW), cutoff)
    n = 0
    for start in range(0, vocabulary, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(logits_ptr + at, mask=at < vocabulary, other=-float("inf")).to(tl.float32)
        if tl.max(x, 0) >= bound:
            chosen = x >= bound
            places = n + tl.cumsum(chosen.to(tl.int32), 0) - 1
            tl.store(values_ptr + places, x, mask=chosen)
            tl.store(tokens_ptr + places, at, mask=chosen)
            n += tl.sum(chosen.to(tl.int32), 0)
    least = tl.maximum(_kth(values_ptr, n, k, largest, FEW), cutoff)
    tl.store(facts_ptr + 2 * row, largest)
    tl.store(facts_ptr + 2 * row + 1, least)
    tl.store(lengths_ptr + row, n)
    tl.store(starts_ptr + 1 + row, _count(values_ptr, n, least, FEW))


@triton.jit
def starts_kernel(starts_ptr, total_ptr, rows, BLOCK: tl.constexpr):
    """Numbers of candidates become the places of their first ones."""
    total = 0
    tl.store(starts_ptr, 0)
    for start in range(0, rows, BLOCK):
        at = start + tl.arange(0, BLOCK)
        counts = tl.load(starts_ptr + 1 + at, mask=at < rows, other=0)
        tl.store(starts_ptr + 1 + at, total + tl.cumsum(counts, 0), mask=at < rows)
        total += tl.sum(counts, 0)
    tl.store(total_ptr, total.to(tl.int64))


@triton.jit
def draw_kernel(
    uniform_ptr, values_ptr, tokens_ptr, facts_ptr, lengths_ptr, starts_ptr, token_ptr, candidates_ptr, probabilities_ptr,
    vocabulary, temperature, BLOCK: tl.constexpr,
):  # fmt: skip
    """The candidates of a row, their probabilities, and the one that the uniform number falls on. One row per program."""
    row = tl.program_id(0)
    values_ptr += row.to(tl.int64) * vocabulary
    tokens_ptr += row.to(tl.int64) * vocabulary
    largest, least, n = tl.load(facts_ptr + 2 * row), tl.load(facts_ptr + 2 * row + 1), tl.load(lengths_ptr + row)
    first, end = tl.load(starts_ptr + row), tl.load(starts_ptr + row + 1)
    place, sum = first, 0.0
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(values_ptr + at, mask=at < n, other=-float("inf"))
        chosen = x >= least
        weights = tl.where(chosen, tl.exp((x - largest) / temperature), 0)
        places = place + tl.cumsum(chosen.to(tl.int32), 0) - 1
        tl.store(candidates_ptr + places, tl.load(tokens_ptr + at, mask=chosen), mask=chosen)
        tl.store(probabilities_ptr + places, weights, mask=chosen)
        place += tl.sum(chosen.to(tl.int32), 0)
        sum += tl.sum(weights, 0)
    wanted = tl.load(uniform_ptr + row) * sum
    passed, below = 0, 0.0
    for start in range(first, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        weights = tl.load(probabilities_ptr + at, mask=at < end, other=0)
        passed += tl.sum(((below + tl.cumsum(weights, 0) <= wanted) & (at < end)).to(tl.int32), 0)
        below += tl.sum(weights, 0)
        tl.store(probabilities_ptr + at, weights / sum, mask=at < end)
    tl.store(token_ptr + row, tl.load(candidates_ptr + tl.minimum(first + passed, end - 1)))


@trtp.register(
    "llm::top_k_sampling", ranks={"logits": 2, "uniform": 1},
    outputs=["token", "candidates", "probabilities", "starts", "total"],
)  # fmt: skip
def sampling_desc(
    logits: trtp.TensorDesc, uniform: trtp.TensorDesc, k: int = 50, temperature: float = 1.0, min_p: float = 0.0
) -> tuple[trtp.TensorDesc, ...]:
    """Candidates of a row of logits are the tokens with its k largest logits, and any equal to the last of them, whose probability is at
    least min_p times the largest one. token [rows] is drawn from them by a number from 0 to 1 (not 1 itself) of uniform [rows].

    Row i has candidates[starts[i] : starts[i + 1]], in the order of tokens, with probabilities that add up to 1; total is their number in
    all rows.
    """
    rows, vocabulary = logits.shape_expr
    trtp.require(uniform.shape_expr[0] == rows, "uniform has not one number for each row of logits")
    trtp.require(vocabulary > 0, "logits has no columns")
    trtp.require(rows * vocabulary < 2**31, "logits has 2^31 elements or more")
    trtp.require(k > 0, "k is not positive")
    trtp.require(temperature > 0, "temperature is not positive")
    trtp.require(min_p >= 0, "min_p is negative")
    trtp.require(min_p <= 1, "min_p is above 1")
    total = trtp.size_tensor(rows * trtp.min(k, vocabulary), rows * vocabulary)
    return (
        trtp.from_shape_expr((rows,), "INT32"),
        trtp.from_shape_expr((total.expr(),), "INT32"),
        trtp.from_shape_expr((total.expr(),), "FP32"),
        trtp.from_shape_expr((rows + 1,), "INT32"),
        total,
    )


@trtp.autotune("llm::top_k_sampling")
def sampling_autotune():
    return [trtp.AutoTuneCombination("FP32|FP16|BF16, FP32, INT32, INT32, FP32, INT32, INT64")]


@trtp.aot_impl("llm::top_k_sampling")
def sampling_aot(logits, uniform, k, temperature, min_p, outputs):
    token, candidates, probabilities, starts, total = outputs
    rows, vocabulary = logits.shape_expr
    values, tokens = trtp.workspace((rows, vocabulary), "FP32"), trtp.workspace((rows, vocabulary), "INT32")
    facts, lengths = trtp.workspace((rows, 2), "FP32"), trtp.workspace((rows,), "INT32")
    found = values, tokens, facts, lengths, starts
    return [
        trtp.launch(
            threshold_kernel, (rows,), (logits, *found, vocabulary, trtp.min(k, vocabulary), temperature, min_p),
            BLOCK=1024, FEW=128,
        ),
        trtp.launch(starts_kernel, (1,), (starts, total, rows), BLOCK=64),
        trtp.sizes_known(),
        trtp.launch(
            draw_kernel, (rows,), (uniform, *found, token, candidates, probabilities, vocabulary, temperature), BLOCK=64
        ),
    ]  # fmt: skip


@trtp.impl("llm::top_k_sampling")
def sampling_impl(logits, uniform, k, temperature, min_p, outputs):
    rows = np.asarray(logits).astype(np.float64)
    tokens, chosen, weights = [], [], []
    for row, number in zip(rows, np.asarray(uniform), strict=True):
        kth = np.sort(row)[-min(k, len(row))]
        cutoff = row.max() + temperature * np.log(min_p) if min_p else -np.inf
        candidates = np.flatnonzero((row >= max(kth, cutoff)) & (row > -np.inf))
        p = np.exp((row[candidates] - row.max()) / temperature)
        p /= p.sum()
        tokens.append(candidates[min(np.searchsorted(p.cumsum(), number, "right"), len(p) - 1)])
        chosen.append(candidates)
        weights.append(p)
    count = sum(map(len, chosen))
    token, candidates, probabilities, starts, total = outputs
    np.asarray(token)[...] = tokens
    np.asarray(candidates.aliased((count,)))[...] = np.concatenate(chosen or [[]])
    np.asarray(probabilities.aliased((count,)))[...] = np.concatenate(weights or [[]])
    np.asarray(starts)[...] = np.cumsum([0, *map(len, chosen)])
    np.asarray(total)[...] = count


@trtp.cost("llm::top_k_sampling")
def sampling_cost(logits):
    return 20 * logits.numel(), 4 * logits.numel()
