// Arithmetic on unevaluated sums of two floats (double-double, after Dekker and Knuth), with fused multiply-add for the
// rest of a product. Where a result in f32 is all that is wanted the low parts are null and this is plain f64.
#include "codegen/cpu/math_builder.h"

namespace opw::cpu {

using llvm::Value;

Pair MathBuilder::twoSum(Value *x, Value *y) {
  Value *sum = add(x, y);
  if (!exact)
    return {sum};
  Value *second = sub(sum, x);
  return {sum, add(sub(x, sub(sum, second)), sub(y, second))};
}

Pair MathBuilder::quickSum(Value *x, Value *y) {
  if (!y)
    return {x};
  Value *sum = add(x, y);
  return {sum, exact ? sub(y, sub(sum, x)) : nullptr};
}

Pair MathBuilder::twoProduct(Value *x, Value *y) {
  Value *product = mul(x, y);
  return {product, exact ? fma(x, y, neg(product)) : nullptr};
}

Pair MathBuilder::plus(Pair x, Pair y) {
  Pair sum = twoSum(x.high, y.high);
  return quickSum(sum.high, lowSum(sum.low, lowSum(x.low, y.low)));
}

Pair MathBuilder::times(Pair x, Pair y) {
  Pair product = twoProduct(x.high, y.high);
  if (!exact)
    return product;
  Value *low = product.low;
  if (y.low)
    low = fma(x.high, y.low, low);
  if (x.low)
    low = fma(x.low, y.high, low);
  return quickSum(product.high, low);
}

Pair MathBuilder::over(Pair x, Pair y) {
  Value *quotient = div(x.high, y.high);
  if (!exact)
    return {quotient};
  Value *rest = lowSum(fma(neg(quotient), y.high, x.high), x.low);
  if (y.low)
    rest = fma(neg(quotient), y.low, rest);
  return quickSum(quotient, div(rest, y.high));
}

/// Of a pair above 0.
Pair MathBuilder::root(Pair x) {
  Value *s = sqrt(x.high);
  if (!exact)
    return {s};
  Value *rest = lowSum(fma(neg(s), s, x.high), x.low);
  return quickSum(s, div(rest, add(s, s)));
}

Pair MathBuilder::select(Value *condition, Pair x, Pair y) {
  Pair result{b.CreateSelect(condition, x.high, y.high)};
  if (x.low || y.low)
    result.low = b.CreateSelect(condition, lowOf(x), lowOf(y));
  return result;
}

Value *MathBuilder::power(Value *e) {
  return fromBits(b.CreateShl(b.CreateAdd(e, i(wide ? 1023 : 127)), i(wide ? 52 : 23)));
}

Value *MathBuilder::split(Value *x, Value *&e) {
  int mantissa = wide ? 52 : 23, bias = wide ? 1023 : 127;
  Value *tiny = less(abs(x), wide ? 0x1p-1022 : 0x1p-126);
  Value *bits = bitsOf(b.CreateSelect(tiny, mul(x, c(wide ? 0x1p64 : 0x1p32)), x));
  Value *field = b.CreateAnd(b.CreateLShr(bits, i(mantissa)), i(2 * bias + 1));
  e = b.CreateSub(field, b.CreateSelect(tiny, i(bias + (wide ? 64 : 32)), i(bias)));
  int64_t kept = wide ? int64_t(0x800fffffffffffff) : int64_t(0x807fffff);
  return fromBits(b.CreateOr(b.CreateAnd(bits, i(kept)), i(wide ? 0x3ff0000000000000 : 0x3f800000)));
}

} // namespace opw::cpu
