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
  const size_t count = (row.arguments == 1 ? 16000 : 8000) * (getenv("OPW_LONG") ? 100 : 1);
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
  if (row.nearZero != 0) // found between samples, then by halving
    for (long double x = -20; x < 80; x += 0.17L) {
      long double low = x, high = x + 0.17L;
      auto below = [&](long double at) { return std::signbit(row.reference(&at)); };
      if (std::isnan(row.reference(&low)) || below(low) == below(high) || std::fabs(row.reference(&low)) > 3)
        continue;
      while (T((low + high) / 2) != T(low) && T((low + high) / 2) != T(high))
        (below((low + high) / 2) == below(high) ? high : low) = (low + high) / 2;
      for (double away : {0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2})
        for (T zero : {T(low), T(high)})
          in[0].push_back(T(zero * (1 + away))), in[0].push_back(T(zero * (1 - away)));
    }
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
      if (double apart = ulps(out[i], exact[i], narrow ? 0 : row.nearZero); apart > worst)
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

template <typename T> void checkOrders(const OrderRow &row, double limit) {
  bool narrow = sizeof(T) == 4, isBessel = row.orderFirst;
  std::vector<T> x;
  std::vector<int32_t> n;
  Random random;
  auto put = [&](T value, int order) { x.push_back(value), n.push_back(order); };
  for (T value : specialValues<T>())
    for (int order : {-1, 0, 1, 2, 3, 7, 60})
      if (!isBessel || std::fabs(value) < 1e6 || std::isinf(value)) // glibc's recurrence is long
        put(value, order);
  for (int i = 0; i < 3000; i++) {
    put(T(random.between(isBessel ? 0 : -8, 8)), int(random.bits() % 30));
    put(T(random.between(0, 100)), int(random.bits() % 120));
    put(T(std::exp(random.between(-9, 5))), int(random.bits() % 12));
    if (!isBessel)
      put(random.any<T>(), int(random.bits() % 4000) - 2000);
  }
  char code = narrow ? 'f' : 'd';
  std::string types{code, ':', row.orderFirst ? 'i' : code, row.orderFirst ? code : 'i'};
  std::string symbol = std::string("__nv_") + row.name + (narrow ? "f" : "");
  for (const std::string &level : fixedLevels()) {
    std::vector<T> out =
        row.orderFirst ? callExtern<T>(level, symbol, types, n, x) : callExtern<T>(level, symbol, types, x, n);
    double worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < out.size(); i++)
      if (double apart = ulps(out[i], row.reference(n[i], x[i]), isBessel && !narrow ? kOrderNearZero : 0);
          apart > worst)
        worst = apart, where = i;
    EXPECT_LE(worst, limit) << symbol << " of order " << n[where] << " at " << x[where] << " is " << out[where]
                            << ", expected " << row.reference(n[where], x[where]);
    if (getenv("OPW_VERBOSE"))
      printf("%s %s %s: %.3f ulp at %d %.17g: %.17g, expected %.17g\n", level.c_str(), row.name, narrow ? "f32" : "f64",
             worst, n[where], double(x[where]), double(out[where]), double(row.reference(n[where], x[where])));
  }
}

TEST(LibdeviceOrders, F32) {
  for (const OrderRow &row : kOrderRows)
    checkOrders<float>(row, row.f32);
}
TEST(LibdeviceOrders, F64) {
  for (const OrderRow &row : kOrderRows)
    checkOrders<double>(row, row.f64);
}

TEST(LibdeviceBessel, NextToZerosAndFarOut) {
  for (const std::string &level : fixedLevels())
    for (const char *name : {"j0", "j1", "y0", "y1"}) {
      std::vector<double> x;
      std::vector<long double> exact;
      for (const KnownValue &value : kBesselValues)
        if (std::string_view(value.name) == name)
          x.push_back(value.x), exact.push_back(value.exact);
      std::vector<double> out = callExtern<double>(level, std::string("__nv_") + name, "d:d", x);
      for (size_t i = 0; i < x.size(); i++) {
        // beyond the last piece near a zero the places are those of 2^-13 times the wave's height
        long double floor = x[i] < 16.5 ? 0 : std::sqrt(2 / (kPi * x[i])) * 0x1p-13L;
        EXPECT_LE(ulps(out[i], exact[i], floor), 4) << name << " of " << x[i] << " is " << out[i];
      }
    }
}

class Libdevice : public testing::TestWithParam<Row> {};

TEST_P(Libdevice, F32) { check<float>(GetParam(), GetParam().f32); }
TEST_P(Libdevice, F64) { check<double>(GetParam(), GetParam().f64); }

INSTANTIATE_TEST_SUITE_P(Functions, Libdevice, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row> &info) { return std::string(info.param.name); });

} // namespace
