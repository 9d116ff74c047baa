// Elementwise ops on lanes and on scalars against C++: integer edge cases, compares, NaN rules, conversions, refusals.
#include "codegen_harness.h"

#include <cmath>
#include <limits>

using namespace opw::test;

namespace {

class CodegenOps : public Codegen {};

/// c[i] = kind(a[i], b[i]) in lanes; d[i] the same with a scalar loop.
template <typename In, typename Out> void binary(const std::string &level, OpKind kind, Elem in, Elem out,
                                                 Attributes attributes, std::vector<In> a, std::vector<In> b,
                                                 const std::function<Out(In, In)> &expected, bool unary = false) {
  Plan p;
  ValueId A = p.pointer(in), B = p.pointer(in), C = p.pointer(out), D = p.pointer(out), n = p.arg(i64());
  auto body = [&](ValueId target) {
    return [&, target](ValueId i) {
      std::vector<ValueId> operands{p.load(A, i)};
      if (!unary)
        operands.push_back(p.load(B, i));
      p.store(target, i, p.op(kind, operands, Type::scalar(out), attributes));
    };
  };
  p.lanes(p.c(0), n, body(C));
  p.seq(p.c(0), n, {}, [&](ValueId i, std::vector<ValueId>) {
    body(D)(i);
    return std::vector<ValueId>{};
  });
  Kernel kernel(p, level);
  ASSERT_TRUE(kernel.isLoaded()) << name(kind);
  size_t count = a.size();
  std::vector<Out> c(count), d(count);
  kernel.run(1, a.data(), b.data(), c.data(), d.data(), int64_t(count));
  for (size_t i = 0; i < count; i++) {
    Out want = expected(a[i], b[i]);
    bool both = want != want;
    if (both) {
      ASSERT_TRUE(c[i] != c[i] && d[i] != d[i]) << name(kind) << " of " << +a[i] << ", " << +b[i];
      continue;
    }
    ASSERT_EQ(std::memcmp(&c[i], &want, sizeof want), 0)
        << name(kind) << " " << name(in) << " of " << +a[i] << ", " << +b[i] << ": " << +c[i] << ", expected " << +want;
    ASSERT_EQ(std::memcmp(&d[i], &want, sizeof want), 0)
        << "scalar " << name(kind) << " " << name(in) << " of " << +a[i] << ", " << +b[i] << ": " << +d[i]
        << ", expected " << +want;
  }
}

template <typename T> void allPairs(std::vector<T> values, std::vector<T> &a, std::vector<T> &b) {
  for (T x : values)
    for (T y : values)
      a.push_back(x), b.push_back(y);
}

template <typename T> void integerOps(const std::string &level, Elem elem) {
  using U = std::make_unsigned_t<T>;
  constexpr unsigned bits = sizeof(T) * 8;
  const T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
  std::vector<T> a, b;
  allPairs<T>({0,  1,   -1,   2,       -2,          3,           7,     -7,           8,    31,          32,         63,
               64, 100, -100, T(bits), T(bits - 1), T(bits + 1), least, T(least + 1), most, T(most - 1), T(most / 3)},
              a, b);
  auto check = [&](OpKind kind, std::function<T(T, T)> f) { binary<T, T>(level, kind, elem, elem, {}, a, b, f); };
  auto wrap = [](auto x) { return T(U(x)); };
  check(OpKind::AddI, [&](T x, T y) { return wrap(U(x) + U(y)); });
  check(OpKind::SubI, [&](T x, T y) { return wrap(U(x) - U(y)); });
  check(OpKind::MulI, [&](T x, T y) { return wrap(uint64_t(U(x)) * uint64_t(U(y))); });
  auto div = [&](T x, T y) { return y == 0 ? x : y == -1 ? wrap(U(0) - U(x)) : T(x / y); };
  auto rem = [&](T x, T y) { return y == 0 || y == -1 ? T(0) : T(x % y); };
  check(OpKind::DivSI, div);
  check(OpKind::RemSI, rem);
  check(OpKind::DivUI, [&](T x, T y) { return y == 0 ? x : T(U(x) / U(y)); });
  check(OpKind::RemUI, [&](T x, T y) { return y == 0 ? T(0) : T(U(x) % U(y)); });
  check(OpKind::FloorDivSI,
        [&](T x, T y) { return y == 0 || y == -1 ? div(x, y) : T(x / y - (x % y != 0 && (x < 0) != (y < 0))); });
  check(OpKind::CeilDivSI,
        [&](T x, T y) { return y == 0 || y == -1 ? div(x, y) : T(x / y + (x % y != 0 && (x < 0) == (y < 0))); });
  check(OpKind::ShlI, [&](T x, T y) { return U(y) >= bits ? T(0) : wrap(U(x) << U(y)); });
  check(OpKind::ShrUI, [&](T x, T y) { return U(y) >= bits ? T(0) : T(U(x) >> U(y)); });
  check(OpKind::ShrSI, [&](T x, T y) { return T(x >> (U(y) >= bits ? bits - 1 : U(y))); });
  check(OpKind::AndI, [&](T x, T y) { return T(x & y); });
  check(OpKind::OrI, [&](T x, T y) { return T(x | y); });
  check(OpKind::XOrI, [&](T x, T y) { return T(x ^ y); });
  check(OpKind::MinSI, [&](T x, T y) { return std::min(x, y); });
  check(OpKind::MaxSI, [&](T x, T y) { return std::max(x, y); });
  check(OpKind::MinUI, [&](T x, T y) { return T(std::min(U(x), U(y))); });
  check(OpKind::MaxUI, [&](T x, T y) { return T(std::max(U(x), U(y))); });
  check(OpKind::MulhiUI, [&](T x, T y) { return T(U((unsigned __int128)(U(x)) * U(y) >> bits)); });
  binary<T, T>(level, OpKind::AbsI, elem, elem, {}, a, b, [&](T x, T) { return x < 0 ? wrap(U(0) - U(x)) : x; }, true);
  auto compare = [&](const char *name, std::function<bool(T, T)> f) {
    binary<T, uint8_t>(level, OpKind::CmpI, elem, Elem::I1, predicate(name), a, b,
                       [&](T x, T y) { return uint8_t(f(x, y)); });
  };
  compare("eq", [](T x, T y) { return x == y; });
  compare("slt", [](T x, T y) { return x < y; });
  compare("sge", [](T x, T y) { return x >= y; });
  compare("ult", [](T x, T y) { return U(x) < U(y); });
  compare("uge", [](T x, T y) { return U(x) >= U(y); });
}

TEST_P(CodegenOps, Integers8) { integerOps<int8_t>(GetParam(), Elem::I8); }
TEST_P(CodegenOps, Integers16) { integerOps<int16_t>(GetParam(), Elem::I16); }
TEST_P(CodegenOps, Integers32) { integerOps<int32_t>(GetParam(), Elem::I32); }
TEST_P(CodegenOps, Integers64) { integerOps<int64_t>(GetParam(), Elem::I64); }

template <typename T> void floatOps(const std::string &level, Elem elem) {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> a, b;
  allPairs<T>({0, T(-0.0), 1, -1, T(1.5), T(-2.75), T(1e30), T(-1e30), inf, -inf, nan,
               std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::min(), std::numeric_limits<T>::max(),
               T(0.1), T(3)},
              a, b);
  auto check = [&](OpKind kind, std::function<T(T, T)> f) { binary<T, T>(level, kind, elem, elem, {}, a, b, f); };
  check(OpKind::AddF, [](T x, T y) { return x + y; });
  check(OpKind::SubF, [](T x, T y) { return x - y; });
  check(OpKind::MulF, [](T x, T y) { return x * y; });
  check(OpKind::DivF, [](T x, T y) { return x / y; });
  auto isZero = [](T x) { return x == 0; };
  check(OpKind::MinimumF, [&](T x, T y) {
    return x != x || y != y ? nan : isZero(x) && isZero(y) ? (std::signbit(x) ? x : y) : std::min(x, y);
  });
  check(OpKind::MaximumF, [&](T x, T y) {
    return x != x || y != y ? nan : isZero(x) && isZero(y) ? (std::signbit(x) ? y : x) : std::max(x, y);
  });
  binary<T, T>(level, OpKind::NegF, elem, elem, {}, a, b, [](T x, T) { return -x; }, true);
  binary<T, T>(level, OpKind::AbsF, elem, elem, {}, a, b, [](T x, T) { return std::fabs(x); }, true);
  check(OpKind::RemF, [](T x, T y) { return std::fmod(x, y); });
  for (OpKind kind :
       {OpKind::MinNumF, OpKind::MaxNumF}) { // which zero wins is left open: ask for the value through a compare
    std::vector<T> x, y;
    for (size_t i = 0; i < a.size(); i++)
      if (!(a[i] == 0 && b[i] == 0))
        x.push_back(a[i]), y.push_back(b[i]);
    binary<T, T>(level, kind, elem, elem, {}, x, y,
                 [&](T x, T y) { return kind == OpKind::MinNumF ? std::fmin(x, y) : std::fmax(x, y); });
  }
  auto compare = [&](const char *name, std::function<bool(T, T)> f) {
    binary<T, uint8_t>(level, OpKind::CmpF, elem, Elem::I1, predicate(name), a, b,
                       [&](T x, T y) { return uint8_t(f(x, y)); });
  };
  compare("oeq", [](T x, T y) { return x == y; });
  compare("une", [](T x, T y) { return x != y; });
  compare("olt", [](T x, T y) { return x < y; });
  compare("ult", [](T x, T y) { return !(x >= y); });
  compare("one", [](T x, T y) { return x < y || x > y; });
  compare("ord", [](T x, T y) { return x == x && y == y; });
  compare("uno", [](T x, T y) { return x != x || y != y; });
  compare("uge", [](T x, T y) { return !(x < y); });
}

TEST_P(CodegenOps, Floats32) { floatOps<float>(GetParam(), Elem::F32); }
TEST_P(CodegenOps, Floats64) { floatOps<double>(GetParam(), Elem::F64); }

TEST_P(CodegenOps, FloatToIntegerSaturates) {
  std::vector<float> in{0,    -0.0f, 1.9f,  -1.9f, 127,    128,      -129,      255.9f, 256,
                        3e9f, -3e9f, 1e10f, 1e20f, -1e20f, INFINITY, -INFINITY, NAN};
  auto check = [&](auto zero, Elem elem, bool sign) {
    using T = decltype(zero);
    binary<float, T>(
        GetParam(), sign ? OpKind::FPToSI : OpKind::FPToUI, Elem::F32, elem, {}, in, in,
        [](float x, float) -> T {
          if (x != x)
            return 0;
          long double least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
          return x <= least ? std::numeric_limits<T>::min() : x >= most ? std::numeric_limits<T>::max() : T(x);
        },
        true);
  };
  check(int8_t{}, Elem::I8, true), check(int16_t{}, Elem::I16, true), check(int32_t{}, Elem::I32, true),
      check(int64_t{}, Elem::I64, true);
  check(uint8_t{}, Elem::I8, false), check(uint32_t{}, Elem::I32, false), check(uint64_t{}, Elem::I64, false);
}

TEST_P(CodegenOps, IntegerToFloat) {
  std::vector<int32_t> in{0, 1, -1, 16777217, -16777219, INT32_MAX, INT32_MIN, 123456789};
  binary<int32_t, float>(
      GetParam(), OpKind::SIToFP, Elem::I32, Elem::F32, {}, in, in, [](int32_t x, int32_t) { return float(x); }, true);
  binary<int32_t, float>(
      GetParam(), OpKind::UIToFP, Elem::I32, Elem::F32, {}, in, in,
      [](int32_t x, int32_t) { return float(uint32_t(x)); }, true);
  binary<int32_t, double>(
      GetParam(), OpKind::SIToFP, Elem::I32, Elem::F64, {}, in, in, [](int32_t x, int32_t) { return double(x); }, true);
  std::vector<int64_t> wide{0, 1, -1, 16777217, INT64_MAX, INT64_MIN, (int64_t(1) << 53) + 1, -(int64_t(1) << 60) - 7};
  binary<int64_t, float>(
      GetParam(), OpKind::SIToFP, Elem::I64, Elem::F32, {}, wide, wide, [](int64_t x, int64_t) { return float(x); },
      true);
  binary<int64_t, float>(
      GetParam(), OpKind::UIToFP, Elem::I64, Elem::F32, {}, wide, wide,
      [](int64_t x, int64_t) { return float(uint64_t(x)); }, true);
  binary<int64_t, double>(
      GetParam(), OpKind::UIToFP, Elem::I64, Elem::F64, {}, wide, wide,
      [](int64_t x, int64_t) { return double(uint64_t(x)); }, true);
}

/// The value of a small float by the definition of its format.
double decode(uint32_t bits, unsigned exponent, unsigned mantissa, bool hasInfinity) {
  uint32_t sign = bits >> (exponent + mantissa), e = bits >> mantissa & ((1u << exponent) - 1),
           m = bits & ((1u << mantissa) - 1);
  int bias = (1 << (exponent - 1)) - 1;
  double value;
  if (hasInfinity && e == (1u << exponent) - 1)
    value = m ? NAN : INFINITY;
  else if (!hasInfinity && e == (1u << exponent) - 1 && m == (1u << mantissa) - 1)
    value = NAN;
  else if (e == 0)
    value = std::ldexp(m, 1 - bias - int(mantissa));
  else
    value = std::ldexp(1 + std::ldexp(m, -int(mantissa)), int(e) - bias);
  return sign ? -value : value;
}

struct Format {
  Elem elem;
  unsigned exponent, mantissa;
  bool hasInfinity;
};
const Format kFormats[] = {
    {Elem::F16, 5, 10, true}, {Elem::BF16, 8, 7, true}, {Elem::F8E5M2, 5, 2, true}, {Elem::F8E4M3FN, 4, 3, false}};

/// Nearest by search over all values, ties to the even code; `zero`: toward zero.
uint32_t encode(double x, const Format &f, bool zero) {
  unsigned bits = f.exponent + f.mantissa;
  uint32_t sign = std::signbit(x) ? 1u << bits : 0,
           top = f.hasInfinity ? ((1u << f.exponent) - 1) << f.mantissa : (1u << bits) - 2;
  double size = std::fabs(x);
  uint32_t low = 0, high = top; // the last code at or below size
  while (low < high) {
    uint32_t middle = (low + high + 1) / 2;
    if (decode(middle, f.exponent, f.mantissa, f.hasInfinity) <= size)
      low = middle;
    else
      high = middle - 1;
  }
  if (low == top || zero)
    return sign | low;
  double below = decode(low, f.exponent, f.mantissa, f.hasInfinity),
         above = decode(low + 1, f.exponent, f.mantissa, f.hasInfinity);
  if (f.hasInfinity && low + 1 == top) // infinity stands where the next value would
    above = 2 * below - decode(low - 1, f.exponent, f.mantissa, true);
  double half = below / 2 + above / 2;
  return sign | (size > half || (size == half && low % 2) ? low + 1 : low);
}

TEST_P(CodegenOps, SmallFloatsWiden) {
  for (const Format &f : kFormats) {
    unsigned bits = f.exponent + f.mantissa + 1;
    Plan p;
    ValueId a = p.pointer(f.elem), c = p.pointer(Elem::F32), n = p.arg(i64());
    p.lanes(p.c(0), n, [&](ValueId i) { p.store(c, i, p.op(OpKind::FpToFp, {p.load(a, i)}, f32())); });
    Kernel kernel(p, GetParam());
    std::vector<float> out(size_t{1} << bits);
    std::vector<uint16_t> wide(out.size());
    std::vector<uint8_t> narrow(out.size());
    for (size_t i = 0; i < out.size(); i++)
      wide[i] = uint16_t(i), narrow[i] = uint8_t(i);
    void *in = bits == 16 ? static_cast<void *>(wide.data()) : narrow.data();
    kernel.run(1, static_cast<char *>(in), out.data(), int64_t(out.size()));
    for (size_t i = 0; i < out.size(); i++) {
      double expected = decode(uint32_t(i), f.exponent, f.mantissa, f.hasInfinity);
      if (expected != expected)
        ASSERT_NE(out[i], out[i]) << name(f.elem) << " " << i;
      else
        ASSERT_TRUE(out[i] == expected && std::signbit(out[i]) == std::signbit(expected))
            << name(f.elem) << " " << i << " " << out[i];
    }
  }
}

TEST_P(CodegenOps, FloatsNarrow) {
  for (const Format &f : kFormats)
    for (bool zero : {false, true})
      for (Elem from : {Elem::F32, Elem::F64}) {
        Plan p;
        ValueId a = p.pointer(from), c = p.pointer(f.elem), n = p.arg(i64());
        p.lanes(p.c(0), n, [&](ValueId i) {
          p.store(c, i,
                  p.op(OpKind::FpToFp, {p.load(a, i)}, Type::scalar(f.elem),
                       attribute("rounding", Attribute::keyword(zero ? "rtz" : "rtne"))));
        });
        Kernel kernel(p, GetParam());
        unsigned bits = f.exponent + f.mantissa;
        std::vector<double> in{0.0,   -0.0, 1e-30, -1e-30, 1e-45, 1e30,  -1e30, 65504, 65519.9,
                               65520, 448,  464,   464.1,  480,   57344, 61440, 61441};
        for (uint32_t code = 0; code + 2 < (1u << bits);
             code += bits > 8 ? 13 : 1) { // values, ties, and just beside ties
          double x = decode(code, f.exponent, f.mantissa, f.hasInfinity),
                 y = decode(code + 1, f.exponent, f.mantissa, f.hasInfinity);
          if (!std::isfinite(x) || !std::isfinite(y))
            continue;
          double half = x / 2 + y / 2;
          for (double v : {x, half, std::nextafter(half, 0), std::nextafter(half, INFINITY), half + (y - x) / 4})
            in.push_back(v), in.push_back(-v);
        }
        std::vector<float> single(in.begin(), in.end());
        if (from == Elem::F32)
          for (size_t i = 0; i < in.size(); i++)
            in[i] = single[i];
        std::vector<uint16_t> wide(in.size());
        std::vector<uint8_t> narrow(in.size());
        char *source =
            from == Elem::F32 ? reinterpret_cast<char *>(single.data()) : reinterpret_cast<char *>(in.data());
        char *target = bits == 15 ? reinterpret_cast<char *>(wide.data()) : reinterpret_cast<char *>(narrow.data());
        kernel.run(1, source, target, int64_t(in.size()));
        for (size_t i = 0; i < in.size(); i++) {
          uint32_t got = bits == 15 ? wide[i] : narrow[i], want = encode(in[i], f, zero);
          if (f.hasInfinity && zero && std::isfinite(in[i]) &&
              (want & ((1u << bits) - 1)) == ((1u << f.exponent) - 1) << f.mantissa)
            want--; // a finite value stays finite
          ASSERT_EQ(got, want) << name(from) << " to " << name(f.elem) << (zero ? " rtz" : "") << " of " << in[i];
        }
      }
}

// A CPU that has half arithmetic may fuse the two, as Triton lets it, and rounds once then.
TEST_P(CodegenOps, HalfArithmeticRoundsAfterEachOpOrOnceWhereItIsFused) {
  for (const Format &f : {kFormats[0], kFormats[1]}) {
    Plan p;
    ValueId a = p.pointer(f.elem), b = p.pointer(f.elem), c = p.pointer(f.elem), n = p.arg(i64());
    p.lanes(p.c(0), n, [&](ValueId i) {
      ValueId x = p.load(a, i), y = p.load(b, i);
      p.store(c, i, p.op(OpKind::AddF, {p.op(OpKind::MulF, {x, y}), x}));
    });
    Kernel kernel(p, GetParam());
    std::vector<uint16_t> x, y;
    for (uint32_t i = 0; i < 4000; i++)
      x.push_back(uint16_t(encode(std::sin(i) * 3, f, false))),
          y.push_back(uint16_t(encode(std::cos(i * 1.7) * 5, f, false)));
    std::vector<uint16_t> out(x.size());
    kernel.run(1, x.data(), y.data(), out.data(), int64_t(x.size()));
    auto value = [&](uint16_t bits) { return decode(bits, f.exponent, f.mantissa, true); };
    for (size_t i = 0; i < x.size(); i++) {
      double product = value(uint16_t(encode(value(x[i]) * value(y[i]), f, false)));
      double fused = value(x[i]) * value(y[i]) + value(x[i]);
      ASSERT_TRUE(out[i] == encode(product + value(x[i]), f, false) || out[i] == encode(fused, f, false)) << i;
    }
  }
}

TEST_P(CodegenOps, LinearIntegersWrapAndCompareAsTheirWidthSays) {
  Plan p;
  ValueId base = p.arg(i32()), out = p.pointer(Elem::I64), flags = p.pointer(Elem::I8), n = p.arg(i64()),
          wide = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) {
    ValueId narrow = p.op(OpKind::AddI, {p.op(OpKind::TruncI, {i}, i32()), base}); // wraps inside the loop
    p.store(out, i, p.op(OpKind::ExtSI, {narrow}, i64()));
    ValueId far = p.op(OpKind::AddI, {p.op(OpKind::MulI, {i, p.c(3)}), wide});
    ValueId all = p.c(0, Elem::I8);
    int bit = 0;
    for (const char *name : {"slt", "sle", "sgt", "sge", "eq", "ne"}) {
      ValueId one = p.op(OpKind::ExtUI, {p.cmp(name, far, p.c(300))}, Type::scalar(Elem::I8));
      all = p.op(OpKind::OrI, {all, p.op(OpKind::ShlI, {one, p.c(bit++, Elem::I8)})});
    }
    p.store(flags, i, all);
  });
  Kernel kernel(p, GetParam());
  for (int64_t wide : {int64_t(0), int64_t(-5000000000), int64_t(5000000000), int64_t(150), int64_t(-300)}) {
    std::vector<int64_t> got(333);
    std::vector<uint8_t> bits(333);
    kernel.run(1, INT32_MAX - 100, got.data(), bits.data(), int64_t(333), wide);
    for (int64_t i = 0; i < 333; i++) {
      ASSERT_EQ(got[i], int32_t(uint32_t(INT32_MAX - 100) + uint32_t(i)));
      int64_t v = 3 * i + wide;
      ASSERT_EQ(bits[i],
                (v < 300) | (v <= 300) << 1 | (v > 300) << 2 | (v >= 300) << 3 | (v == 300) << 4 | (v != 300) << 5)
          << i;
    }
  }
}

TEST_P(CodegenOps, Philox) { // what tl.rand computes: wrapping i32 arithmetic on lanes
  Plan p;
  ValueId out = p.pointer(Elem::I32), seed = p.arg(i64()), n = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) {
    ValueId c0 = p.op(OpKind::TruncI, {i}, i32()), c1 = p.c(0, Elem::I32), c2 = c1, c3 = c1;
    ValueId k0 = p.op(OpKind::TruncI, {seed}, i32()),
            k1 = p.op(OpKind::TruncI, {p.op(OpKind::ShrUI, {seed, p.c(32)})}, i32());
    for (int round = 0; round < 10; round++) {
      ValueId A = p.c(int32_t(0xD2511F53), Elem::I32), B = p.c(int32_t(0xCD9E8D57), Elem::I32);
      ValueId old0 = c0, old2 = c2;
      c0 = p.op(OpKind::XOrI, {p.op(OpKind::XOrI, {p.op(OpKind::MulhiUI, {B, old2}), c1}), k0});
      c2 = p.op(OpKind::XOrI, {p.op(OpKind::XOrI, {p.op(OpKind::MulhiUI, {A, old0}), c3}), k1});
      c1 = p.op(OpKind::MulI, {B, old2});
      c3 = p.op(OpKind::MulI, {A, old0});
      k0 = p.op(OpKind::AddI, {k0, p.c(int32_t(0x9E3779B9), Elem::I32)});
      k1 = p.op(OpKind::AddI, {k1, p.c(int32_t(0xBB67AE85), Elem::I32)});
    }
    p.store(out, i, c0);
  });
  Kernel kernel(p, GetParam());
  std::vector<uint32_t> got(1000);
  int64_t seed64 = 0x123456789abcdef;
  kernel.run(1, got.data(), seed64, int64_t(got.size()));
  for (uint32_t i = 0; i < got.size(); i++) {
    uint32_t c0 = i, c1 = 0, c2 = 0, c3 = 0, k0 = uint32_t(seed64), k1 = uint32_t(uint64_t(seed64) >> 32);
    for (int round = 0; round < 10; round++) {
      uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
      c0 = uint32_t(b >> 32) ^ c1 ^ k0;
      c2 = uint32_t(a >> 32) ^ c3 ^ k1;
      c1 = uint32_t(b);
      c3 = uint32_t(a);
      k0 += 0x9E3779B9, k1 += 0xBB67AE85;
    }
    ASSERT_EQ(got[i], c0) << i;
  }
}

/// Emission itself fails where the object would need a symbol.
TEST_P(CodegenOps, NoFloatOpNeedsALibrary) {
  const OpKind binaries[] = {OpKind::AddF,    OpKind::SubF,    OpKind::MulF,     OpKind::DivF,    OpKind::RemF,
                             OpKind::MinNumF, OpKind::MaxNumF, OpKind::MinimumF, OpKind::MaximumF};
  const OpKind unaries[] = {OpKind::Exp,   OpKind::Exp2, OpKind::Log,  OpKind::Log2,  OpKind::Sqrt,
                            OpKind::Rsqrt, OpKind::NegF, OpKind::AbsF, OpKind::Floor, OpKind::Ceil,
                            OpKind::Sin,   OpKind::Cos,  OpKind::Tanh, OpKind::Erf};
  for (Elem elem : {Elem::F16, Elem::BF16, Elem::F32, Elem::F64}) {
    std::vector<std::pair<OpKind, unsigned>> kinds{{OpKind::Fma, 3}};
    for (OpKind kind : binaries)
      kinds.emplace_back(kind, 2);
    for (OpKind kind : unaries)
      if (elem != Elem::F64 ||
          (kind != OpKind::Sin && kind != OpKind::Cos && kind != OpKind::Tanh && kind != OpKind::Erf))
        kinds.emplace_back(kind, 1);
    for (auto [kind, operands] : kinds)
      for (int64_t width : {1, 4, 8, 16, 64}) {
        Plan p;
        ValueId x = p.pointer(elem), y = p.pointer(elem);
        auto at = [&](ValueId i) {
          std::vector<ValueId> in;
          for (unsigned k = 0; k < operands; k++)
            in.push_back(p.load(x, p.op(OpKind::AddI, {i, p.c(64 * k)})));
          p.store(y, i, p.op(kind, in));
        };
        if (width == 1)
          at(p.c(0));
        else
          p.lanes(p.c(0), p.c(width), at);
        SCOPED_TRACE(std::string(name(kind)) + " of " + std::string(name(elem)) + " by " + std::to_string(width));
        Kernel kernel(p, GetParam());
      }
    for (OpKind kind :
         {OpKind::AddF, OpKind::MulF, OpKind::MinNumF, OpKind::MaxNumF, OpKind::MinimumF, OpKind::MaximumF}) {
      Plan p; // a reduction of f32, or f64, rounded to the element
      Elem wide = elem == Elem::F64 ? Elem::F64 : Elem::F32;
      ValueId x = p.pointer(elem), y = p.pointer(elem), n = p.arg(i64());
      auto convert = [&](ValueId v, Elem from, Elem to) {
        OpKind by = bitWidth(from) < bitWidth(to) ? OpKind::ExtF : OpKind::TruncF;
        return from == to ? v : p.op(by, {v}, Type::scalar(to));
      };
      ValueId start = convert(p.load(x, p.c(0)), elem, wide);
      ValueId total = p.lanes(p.c(1), n, {start}, {kind}, [&](ValueId i, std::vector<ValueId> sum) {
        return std::vector{p.op(kind, {sum[0], convert(p.load(x, i), elem, wide)})};
      })[0];
      p.store(y, p.c(0), convert(total, wide, elem));
      SCOPED_TRACE(std::string(name(kind)) + " reduction of " + std::string(name(elem)));
      Kernel kernel(p, GetParam());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, CodegenOps, testing::ValuesIn(levels()), levelName);

TEST(CodegenRefusal, NamesTheOp) {
  Plan p;
  ValueId a = p.pointer(Elem::F64);
  p.store(a, p.c(0),
          p.op(OpKind::ExternElementwise, {p.load(a, p.c(0))}, Type::scalar(Elem::F64),
               attribute("symbol", Attribute::string("__nv_nothing"))));
  Module module = p.finish();
  auto result = opw::cpu::emit(module, module.functions[0], {.level = "x86-64-v3"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.diagnostics()[0].op, "tt.extern_elementwise");
  EXPECT_EQ(result.diagnostics()[0].kernel, "plan");
}

TEST(CodegenRefusal, UnknownLevel) {
  Plan p;
  Module module = p.finish();
  auto result = opw::cpu::emit(module, module.functions[0], {.level = "z80"});
  ASSERT_FALSE(result);
  EXPECT_NE(
      result.diagnostics()[0].message.find("unknown CPU level 'z80', expected x86-64-v3, x86-64-v4, aarch64 or host"),
      std::string::npos);
}

TEST(CodegenLevel, AArch64NeedsItsTarget) {
  Plan p;
  Module module = p.finish();
  auto result = opw::cpu::emit(module, module.functions[0], {.level = "aarch64"});
  if (result) { // this LLVM has it: the object is for another machine
    auto loaded = opw::cpu::JitModule::load(result->object);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.diagnostics()[0].message, "cannot load an object of aarch64 into a process of x86_64");
    return;
  }
  EXPECT_EQ(render(result.diagnostics()),
            "error: the CPU level aarch64 needs an LLVM with the AArch64 target: this build has x86-64 alone\n"
            "  hint: pip install 'mlc-llvm-static[all]>=23.1.1.post0,<24', then build Opwright again with "
            "--no-build-isolation\n");
}

TEST(CodegenJit, RefusesDamagedObjects) {
  Plan p;
  p.store(p.pointer(Elem::I32), p.c(0), p.c(1, Elem::I32));
  Module module = p.finish();
  auto result = opw::cpu::emit(module, module.functions[0], {.level = "x86-64-v3"});
  ASSERT_TRUE(bool(result));
  EXPECT_TRUE(bool(opw::cpu::JitModule::load(result->object)));
  EXPECT_FALSE(bool(opw::cpu::JitModule::load(std::string_view(result->object).substr(0, 40))));
  EXPECT_FALSE(bool(opw::cpu::JitModule::load("not an object")));
  EXPECT_FALSE(bool(opw::cpu::JitModule::load("")));
}

} // namespace
