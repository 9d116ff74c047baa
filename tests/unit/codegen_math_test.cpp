// Math functions: error in units of the last place against f64, and special values.
#include "codegen_harness.h"

#include <cmath>
#include <limits>

using namespace opw::test;

namespace {

class CodegenMath : public Codegen {};

double ulpsApart(float got, double expected) {
  if (std::isnan(expected))
    return std::isnan(got) ? 0 : 1e9;
  if (std::isnan(got))
    return 1e9;
  float rounded = float(expected);
  if (got == rounded)
    return 0;
  if (std::isinf(rounded) || std::isinf(got))
    return 1e9;
  int exponent;
  std::frexp(std::fabs(expected), &exponent);
  double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::fabs(double(got) - expected) / unit;
}

struct Function {
  OpKind kind;
  double (*reference)(double);
  double limit;
};

double rsqrt(double x) { return 1 / std::sqrt(x); }

const Function kFunctions[] = {
    {OpKind::Exp, std::exp, 2},   {OpKind::Exp2, std::exp2, 2},   {OpKind::Log, std::log, 2},
    {OpKind::Log2, std::log2, 2}, {OpKind::Sin, std::sin, 2},     {OpKind::Cos, std::cos, 2},
    {OpKind::Tanh, std::tanh, 2}, {OpKind::Erf, std::erf, 2},     {OpKind::Rsqrt, rsqrt, 2},
    {OpKind::Sqrt, std::sqrt, 0}, {OpKind::Floor, std::floor, 0}, {OpKind::Ceil, std::ceil, 0},
};

void mapPlan(Plan &p, OpKind kind, Elem elem) {
  ValueId a = p.pointer(elem), c = p.pointer(elem), n = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) { p.store(c, i, p.op(kind, {p.load(a, i)})); });
}

TEST_P(CodegenMath, MathOfF32) {
  std::vector<float> in;
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 30011) {
    float x;
    uint32_t narrow = uint32_t(bits);
    std::memcpy(&x, &narrow, 4);
    in.push_back(x);
  }
  for (int i = -20000; i < 20000; i++)
    in.push_back(float(i) * 0.0053f);
  const float inf = std::numeric_limits<float>::infinity();
  for (float x : {0.0f,    -0.0f,    1.0f,     -1.0f,    inf,           -inf,     std::nanf(""), 88.7228f, 88.73f,
                  -87.3f,  -103.97f, -103.98f, -104.5f,  128.0f,        127.999f, -126.0f,       -149.0f,  -149.5f,
                  -150.0f, -150.5f,  65536.0f, 65537.0f, 3.4028235e38f, 1e-45f,   0.625f,        4.0f})
    in.push_back(x);
  in.resize(in.size() / 64 * 64 + 5);
  for (const Function &f : kFunctions) {
    Plan p;
    mapPlan(p, f.kind, Elem::F32);
    Kernel kernel(p, GetParam());
    std::vector<float> out(in.size());
    kernel.run(1, in.data(), out.data(), int64_t(in.size()));
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < in.size(); i++)
      if (double apart = ulpsApart(out[i], f.reference(double(in[i]))); apart > worst)
        worst = apart, where = in[i];
    EXPECT_LE(worst, f.limit) << name(f.kind) << " at " << where;
    RecordProperty(std::string(name(f.kind)), std::to_string(worst));
    if (getenv("OPW_VERBOSE"))
      printf("%s %s: %.3f ulp at %.9g\n", GetParam().c_str(), std::string(name(f.kind)).c_str(), worst, double(where));
    // signs of zero
    std::vector<float> zeros{0.0f, -0.0f}, signs(2);
    kernel.run(1, zeros.data(), signs.data(), int64_t(2));
    for (int i = 0; i < 2; i++)
      EXPECT_EQ(std::signbit(signs[i]), std::signbit(f.reference(double(zeros[i])))) << name(f.kind);
  }
}

TEST_P(CodegenMath, MathOfF64) {
  std::vector<double> in;
  for (int i = -40000; i < 40000; i++)
    in.push_back(i * 0.0193);
  for (int i = -300; i < 300; i++)
    in.push_back(std::ldexp(1.37, i * 3));
  const double inf = std::numeric_limits<double>::infinity();
  for (double x :
       {0.0, 1.0, -1.0, inf, -inf, std::nan(""), 709.78, 709.79, -745.1, -745.14, 1024.0, -1074.0, -1075.0, 5e-324})
    in.push_back(x);
  const Function functions[] = {{OpKind::Exp, std::exp, 2},   {OpKind::Exp2, std::exp2, 2},
                                {OpKind::Log, std::log, 2},   {OpKind::Log2, std::log2, 2},
                                {OpKind::Rsqrt, rsqrt, 2},    {OpKind::Sqrt, std::sqrt, 0},
                                {OpKind::Sin, std::sin, 2},   {OpKind::Cos, std::cos, 2},
                                {OpKind::Tanh, std::tanh, 4}, {OpKind::Erf, std::erf, 2}};
  for (const Function &f : functions) {
    Plan p;
    mapPlan(p, f.kind, Elem::F64);
    Kernel kernel(p, GetParam());
    std::vector<double> out(in.size());
    kernel.run(1, in.data(), out.data(), int64_t(in.size()));
    double worst = 0, where = 0;
    for (size_t i = 0; i < in.size(); i++) {
      double expected = f.reference(in[i]), apart = 0;
      if (std::isnan(expected) || std::isinf(expected))
        apart = std::isnan(expected) ? (std::isnan(out[i]) ? 0 : 1e9) : out[i] == expected ? 0 : 1e9;
      else if (out[i] != expected) {
        int exponent;
        std::frexp(expected, &exponent);
        apart = std::fabs(out[i] - expected) / std::ldexp(1.0, std::max(exponent - 53, -1074));
      }
      if (!(apart <= worst))
        worst = apart, where = in[i];
    }
    EXPECT_LE(worst, f.limit) << name(f.kind) << " at " << where;
    if (getenv("OPW_VERBOSE"))
      printf("%s %s f64: %.3f ulp at %.17g\n", GetParam().c_str(), std::string(name(f.kind)).c_str(), worst, where);
  }
}

/// out[i] = in[i] / d
void quotientPlan(Plan &p) {
  ValueId x = p.pointer(Elem::F32), y = p.pointer(Elem::F32), d = p.arg(f32()), n = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) { p.store(y, i, p.op(OpKind::DivF, {p.load(x, i), d})); });
}

float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

TEST_P(CodegenMath, DivisionByOneDivisorIsIeees) { // OPW_LONG=1: 2 * 10^8 pairs for each level
  Plan p;
  quotientPlan(p);
  Kernel kernel(p, GetParam());
  const size_t count = 4096 + 7;
  std::vector<float> in(count), out(count);
  uint64_t state = 88172645463325252u;
  auto random = [&] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return uint32_t(state >> 16);
  };
  const uint32_t mantissas[] = {0,        1,        2,        0x7fffff, 0x7ffffe, 0x7ffffd,
                                0x400000, 0x3504f3, 0x3504f4, 0x555555, 0x2aaaab};
  const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, 1.2e-38f, 3.4e38f};
  size_t rounds = getenv("OPW_LONG") ? 50000 : 1000, wrong = 0;
  for (size_t round = 0; round < rounds; round++) {
    uint32_t mantissa = round % 4 == 0 ? mantissas[round / 4 % 11] : random() & 0x7fffff;
    uint32_t exponent = round % 8 == 7 ? random() % 256 : 127 - 22 + random() % 44;
    float d = fromBits(exponent << 23 | mantissa | (round % 16 == 5 ? 1u << 31 : 0));
    for (size_t i = 0; i < count; i++) {
      uint32_t r = random();
      if (i % 64 < 32) // the nearest float to d times a value halfway between floats: the hardest quotients
        in[i] = float(double(d) * std::ldexp(double((r & 0xffffff) | 0x1000000) * 2 + 1, -26 + int(r >> 24) % 8));
      else
        in[i] = fromBits((69 + r % 128) << 23 | (random() & 0x7fffff) | (r & 0x80000000));
      if (round % 3 == 1 && (r >> 8) % 100 == 0)
        in[i] = special[(r >> 16) % 8];
      else if (round % 3 == 2 && ((r >> 8) % 2 == 0 || i % 256 < 64))
        in[i] = 0;
    }
    kernel.run(1, in.data(), out.data(), d, int64_t(count));
    for (size_t i = 0; i < count; i++) {
      volatile float x = in[i];
      float expected = x / d;
      if (std::memcmp(&out[i], &expected, 4) != 0 && !(std::isnan(out[i]) && std::isnan(expected)) && wrong++ < 5)
        ADD_FAILURE() << in[i] << " / " << d << " is " << out[i] << ", expected " << expected;
    }
  }
  EXPECT_EQ(wrong, 0u);
}

TEST_P(CodegenMath, ExpOfWhatMasksLeave) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> in;
  for (float x : {-inf,    -3.4e38f, -1e30f,   -1e9f,   -1e6f,  -10000.0f, -1000.0f, -262144.0f,    -150.5f,
                  -104.5f, -103.98f, -103.96f, -100.0f, -88.0f, -87.4f,    0.0f,     -0.0f,         88.72f,
                  88.73f,  127.99f,  128.0f,   1000.0f, 1e9f,   3.4e38f,   inf,      std::nanf(""), -std::nanf("")})
    in.insert(in.end(), 33, x);
  for (OpKind kind : {OpKind::Exp, OpKind::Exp2}) {
    Plan p;
    mapPlan(p, kind, Elem::F32);
    Kernel kernel(p, GetParam());
    std::vector<float> out(in.size());
    kernel.run(1, in.data(), out.data(), int64_t(in.size()));
    for (size_t i = 0; i < in.size(); i++) {
      double expected = kind == OpKind::Exp ? std::exp(double(in[i])) : std::exp2(double(in[i]));
      EXPECT_LE(ulpsApart(out[i], expected), 1) << name(kind) << " of " << in[i];
      EXPECT_FALSE(std::signbit(out[i]) && !std::isnan(out[i]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, CodegenMath, testing::ValuesIn(levels()), levelName);

} // namespace
