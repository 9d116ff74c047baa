// Functions of libdevice with real arguments: error against long double, and special values.
#include "libdevice_harness.h"
#include "libdevice_rows.h"

using namespace opw::test;

namespace {

/// Arguments of one function: special values with each other, any bits, and everyday numbers.
template <typename T> std::vector<std::vector<T>> argumentsOf(const Row &row) {
  std::vector<std::vector<T>> in(row.arguments);
  Random random;
  std::vector<T> special = specialValues<T>();
  for (T x : special) {
    if (row.arguments == 1) {
      in[0].push_back(x);
      continue;
    }
    for (T y : special)
      for (size_t k = 0; k < in.size(); k++)
        in[k].push_back(k == 0 ? x : k == 1 ? y : special[random.bits() % special.size()]);
  }
  const size_t count = row.arguments == 1 ? 16000 : 8000;
  for (size_t i = 0; i < count; i++)
    for (auto &one : in)
      one.push_back(random.any<T>());
  for (double reach : {1.0, 4.0, 40.0, 800.0})
    for (size_t i = 0; i < count / 2; i++)
      for (auto &one : in)
        one.push_back(T(random.between(row.low * reach, reach)));
  for (size_t i = 0; i < count / 2; i++) // near 1
    for (auto &one : in)
      one.push_back(T(1 + std::ldexp(random.between(-1, 1), -int(random.bits() % 50))));
  return in;
}

template <typename T> void check(const Row &row, double limit) {
  bool narrow = sizeof(T) == 4;
  std::vector<std::vector<T>> in = argumentsOf<T>(row);
  size_t count = in[0].size();
  std::vector<long double> exact(count);
  for (size_t i = 0; i < count; i++) {
    long double x[4] = {};
    for (size_t k = 0; k < in.size(); k++)
      x[k] = in[k][i];
    exact[i] = row.reference(x);
  }
  std::string types(1, narrow ? 'f' : 'd');
  types += ':' + std::string(row.arguments, narrow ? 'f' : 'd');
  for (const std::string &level : fixedLevels()) {
    Plan p;
    externPlan(p, std::string("__nv_") + row.name + (narrow ? "f" : ""), types);
    Kernel kernel(p, level);
    std::vector<T> out(count);
    if (row.arguments == 1)
      kernel.run(1, in[0].data(), out.data(), int64_t(count));
    else if (row.arguments == 2)
      kernel.run(1, in[0].data(), in[1].data(), out.data(), int64_t(count));
    else if (row.arguments == 3)
      kernel.run(1, in[0].data(), in[1].data(), in[2].data(), out.data(), int64_t(count));
    else
      kernel.run(1, in[0].data(), in[1].data(), in[2].data(), in[3].data(), out.data(), int64_t(count));
    double worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < count; i++)
      if (double apart = ulps(out[i], exact[i]); apart > worst)
        worst = apart, where = i;
    std::string at;
    for (auto &one : in) {
      char text[40];
      snprintf(text, sizeof text, " %.17g", double(one[where]));
      at += text;
    }
    EXPECT_LE(worst, limit) << row.name << (narrow ? " f32" : " f64") << " of" << at << " is " << double(out[where])
                            << ", expected " << double(exact[where]);
    if (getenv("OPW_VERBOSE"))
      printf("%s %s %s: %.3f ulp at%s: %.17g, expected %.17g\n", level.c_str(), row.name, narrow ? "f32" : "f64", worst,
             at.c_str(), double(out[where]), double(exact[where]));
  }
}

class Libdevice : public testing::TestWithParam<Row> {};

TEST_P(Libdevice, F32) { check<float>(GetParam(), GetParam().f32); }
TEST_P(Libdevice, F64) { check<double>(GetParam(), GetParam().f64); }

INSTANTIATE_TEST_SUITE_P(Functions, Libdevice, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row> &info) { return std::string(info.param.name); });

} // namespace
