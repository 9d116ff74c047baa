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
    float zeros[2] = {0.0f, -0.0f}, signs[2];
    kernel.run(1, zeros, signs, int64_t(2));
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
  const Function functions[] = {{OpKind::Exp, std::exp, 2}, {OpKind::Exp2, std::exp2, 2},
                                {OpKind::Log, std::log, 2}, {OpKind::Log2, std::log2, 2},
                                {OpKind::Rsqrt, rsqrt, 2},  {OpKind::Sqrt, std::sqrt, 0}};
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

INSTANTIATE_TEST_SUITE_P(Levels, CodegenMath, testing::ValuesIn(levels()), levelName);

} // namespace
