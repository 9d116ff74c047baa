// Functions of libdevice that have one right answer: integers, bits, conversions and directed rounding, against C++ and
// the processor's own rounding modes; and what is refused.
#include "libdevice_harness.h"

#include <cfenv>

#pragma GCC optimize("rounding-math")

using namespace opw::test;

namespace {

template <typename T> std::vector<T> integers(uint64_t seed) {
  Random random;
  while (seed--)
    random.bits();
  std::vector<T> all{
      0,   1,         2,         3,        T(-1), T(-2), T(T(1) << (sizeof(T) * 8 - 1)), std::numeric_limits<T>::max(),
      255, T(0x7654), T(0x3210), T(0xfedc)};
  for (int i = 0; i < 2000; i++)
    all.push_back(T(random.bits() >> (random.bits() % 64)));
  for (size_t i = all.size() - 1; i > 0; i--)
    std::swap(all[i], all[random.bits() % (i + 1)]);
  return all;
}

template <typename Out, typename In, typename... More, typename Reference>
void expectExact(const char *symbol, const char *types, Reference reference, std::vector<In> first,
                 std::vector<More>... more) {
  for (const std::string &level : fixedLevels()) {
    std::vector<Out> out = callExtern<Out>(level, std::string("__nv_") + symbol, types, first, more...);
    size_t wrong = 0;
    for (size_t i = 0; i < out.size(); i++) {
      Out expected = reference(first[i], more[i]...);
      bool same = std::memcmp(&out[i], &expected, sizeof expected) == 0;
      if constexpr (std::is_floating_point_v<Out>)
        same |= std::isnan(out[i]) && std::isnan(expected);
      if (!same && wrong++ < 3)
        ADD_FAILURE() << level << " " << symbol << " of " << first[i] << ((" " + std::to_string(more[i])) + ... + "")
                      << " is " << out[i] << ", expected " << expected;
    }
  }
}

TEST(LibdeviceExact, Integers) {
  using I = int32_t;
  using U = uint32_t;
  using L = int64_t;
  auto x = integers<I>(0), y = integers<I>(7), z = integers<I>(19);
  auto lx = integers<L>(3), ly = integers<L>(11);
  expectExact<I>("clz", "i:i", [](I a) { return a ? __builtin_clz(U(a)) : 32; }, x);
  expectExact<I>("clzll", "i:l", [](L a) { return a ? __builtin_clzll(uint64_t(a)) : 64; }, lx);
  expectExact<I>("popc", "i:i", [](I a) { return __builtin_popcount(U(a)); }, x);
  expectExact<I>("popcll", "i:l", [](L a) { return __builtin_popcountll(uint64_t(a)); }, lx);
  expectExact<I>("ffs", "i:i", [](I a) { return __builtin_ffs(a); }, x);
  expectExact<I>("ffsll", "i:l", [](L a) { return __builtin_ffsll(a); }, lx);
  auto reverse = [](auto a) {
    decltype(a) r = 0;
    for (size_t i = 0; i < sizeof(a) * 8; i++)
      r |= ((a >> i) & 1) << (sizeof(a) * 8 - 1 - i);
    return r;
  };
  expectExact<I>("brev", "i:i", [&](I a) { return I(reverse(U(a))); }, x);
  expectExact<L>("brevll", "l:l", [&](L a) { return L(reverse(uint64_t(a))); }, lx);
  expectExact<I>(
      "byte_perm", "i:iii",
      [](I a, I b, I s) {
        uint64_t both = uint64_t(U(b)) << 32 | U(a);
        U r = 0;
        for (int k = 0; k < 4; k++) {
          U nibble = U(s) >> (4 * k) & 15, byte = both >> (8 * (nibble & 7)) & 255;
          r |= (nibble & 8 ? (byte & 128 ? 255 : 0) : byte) << (8 * k);
        }
        return I(r);
      },
      x, y, z);
  expectExact<I>("mulhi", "i:ii", [](I a, I b) { return I((L(a) * b) >> 32); }, x, y);
  expectExact<I>("umulhi", "i:ii", [](I a, I b) { return I((uint64_t(U(a)) * U(b)) >> 32); }, x, y);
  expectExact<L>("mul64hi", "l:ll", [](L a, L b) { return L((__int128(a) * b) >> 64); }, lx, ly);
  expectExact<L>(
      "umul64hi", "l:ll", [](L a, L b) { return L((static_cast<unsigned __int128>(uint64_t(a)) * uint64_t(b)) >> 64); },
      lx, ly);
  auto signed24 = [](I a) { return I(U(a) << 8) >> 8; };
  expectExact<I>("mul24", "i:ii", [&](I a, I b) { return I(U(signed24(a)) * U(signed24(b))); }, x, y);
  expectExact<I>("umul24", "i:ii", [](I a, I b) { return I((U(a) & 0xffffff) * (U(b) & 0xffffff)); }, x, y);
  expectExact<I>("sad", "i:iii", [](I a, I b, I c) { return I(U(std::abs(L(a) - b)) + U(c)); }, x, y, z);
  expectExact<I>(
      "usad", "i:iii", [](I a, I b, I c) { return I((U(a) > U(b) ? U(a) - U(b) : U(b) - U(a)) + U(c)); }, x, y, z);
  expectExact<I>("abs", "i:i", [](I a) { return I(a < 0 ? -U(a) : U(a)); }, x);
  expectExact<L>("llabs", "l:l", [](L a) { return L(a < 0 ? -uint64_t(a) : uint64_t(a)); }, lx);
  expectExact<I>("hadd", "i:ii", [](I a, I b) { return I((L(a) + b) >> 1); }, x, y);
  expectExact<I>("rhadd", "i:ii", [](I a, I b) { return I((L(a) + b + 1) >> 1); }, x, y);
  expectExact<I>("uhadd", "i:ii", [](I a, I b) { return I((L(U(a)) + U(b)) >> 1); }, x, y);
  expectExact<I>("urhadd", "i:ii", [](I a, I b) { return I((L(U(a)) + U(b) + 1) >> 1); }, x, y);
  expectExact<I>("min", "i:ii", [](I a, I b) { return std::min(a, b); }, x, y);
  expectExact<I>("umax", "i:ii", [](I a, I b) { return I(std::max(U(a), U(b))); }, x, y);
  expectExact<L>("llmax", "l:ll", [](L a, L b) { return std::max(a, b); }, lx, ly);
  expectExact<L>("ullmin", "l:ll", [](L a, L b) { return L(std::min(uint64_t(a), uint64_t(b))); }, lx, ly);
}

template <typename To, typename From> To as(From x) {
  To y;
  static_assert(sizeof x == sizeof y);
  std::memcpy(&y, &x, sizeof y);
  return y;
}

/// Special values, any bits, everyday numbers and halves.
template <typename T> std::vector<T> floats(uint64_t seed, size_t more = 3000) {
  Random random;
  while (seed--)
    random.bits();
  std::vector<T> all;
  std::vector<T> special = specialValues<T>();
  for (size_t i = 0; i < more / 2; i++)
    all.push_back(special[random.bits() % special.size()]);
  for (size_t i = 0; i < more; i++)
    all.push_back(random.any<T>());
  for (size_t i = 0; i < more; i++)
    all.push_back(T(std::ldexp(std::round(random.between(-1000, 1000)), int(random.bits() % 40) - 20)));
  for (size_t i = 0; i < more; i++)
    all.push_back(T(std::ldexp(random.between(-2, 2), int(random.bits() % 70))));
  return all;
}

TEST(LibdeviceExact, Bits) {
  auto f = floats<float>(0);
  auto d = floats<double>(0);
  auto x = integers<int32_t>(0), y = integers<int32_t>(5);
  expectExact<int32_t>("float_as_int", "i:f", [](float a) { return as<int32_t>(a); }, f);
  expectExact<int64_t>("double_as_longlong", "l:d", [](double a) { return as<int64_t>(a); }, d);
  expectExact<float>("uint_as_float", "f:i", [](int32_t a) { return as<float>(a); }, x);
  expectExact<double>(
      "hiloint2double", "d:ii",
      [](int32_t a, int32_t b) { return as<double>(uint64_t(uint32_t(a)) << 32 | uint32_t(b)); }, x, y);
  expectExact<int32_t>("double2hiint", "i:d", [](double a) { return int32_t(as<uint64_t>(a) >> 32); }, d);
  expectExact<int32_t>("double2loint", "i:d", [](double a) { return int32_t(as<uint64_t>(a)); }, d);
  expectExact<int32_t>("isnanf", "i:f", [](float a) { return int32_t(std::isnan(a)); }, f);
  expectExact<int32_t>("isinfd", "i:d", [](double a) { return int32_t(std::isinf(a)); }, d);
  expectExact<int32_t>("finitef", "i:f", [](float a) { return int32_t(std::isfinite(a)); }, f);
  expectExact<int32_t>("isfinited", "i:d", [](double a) { return int32_t(std::isfinite(a)); }, d);
  expectExact<int32_t>("signbitf", "i:f", [](float a) { return int32_t(std::signbit(a)); }, f);
  expectExact<int32_t>("signbitd", "i:d", [](double a) { return int32_t(std::signbit(a)); }, d);
  auto ilogb = [](double a) {
    return a == 0 || std::isnan(a) ? INT32_MIN : std::isinf(a) ? INT32_MAX : int32_t(std::ilogb(a));
  };
  expectExact<int32_t>("ilogbf", "i:f", ilogb, f);
  expectExact<int32_t>("ilogb", "i:d", ilogb, d);
  expectExact<float>("saturatef", "f:f", [](float a) { return a > 0 ? std::min(a, 1.0f) : 0.0f; }, f);
  auto g = floats<float>(9);
  auto e = floats<double>(9);
  expectExact<float>("nextafterf", "f:ff", [](float a, float b) { return std::nextafter(a, b); }, f, g);
  expectExact<double>("nextafter", "d:dd", [](double a, double b) { return std::nextafter(a, b); }, d, e);
  std::vector<int32_t> n;
  Random random;
  for (size_t i = 0; i < d.size(); i++)
    n.push_back(i % 8 == 0 ? int32_t(random.bits()) : int32_t(random.bits() % 4400) - 2200);
  expectExact<double>("ldexp", "d:di", [](double a, int32_t b) { return std::ldexp(a, b); }, d, n);
  expectExact<float>("scalbnf", "f:fi", [](float a, int32_t b) { return std::ldexp(a, b); }, f, n);
  for (int32_t &k : n)
    k = k % 8 == 0 ? k : k % 20;
  expectExact<float>("ldexpf", "f:fi", [](float a, int32_t b) { return std::ldexp(a, b); }, f, n);
}

/// Calls with the processor's rounding mode set.
template <typename Body> auto under(int mode, Body body) {
  std::fesetround(mode);
  auto result = body();
  asm volatile("" : "+m"(result));
  std::fesetround(FE_TONEAREST);
  return result;
}
template <typename T> T opaque(T x) {
  asm volatile("" : "+m"(x));
  return x;
}

const std::pair<const char *, int> kModes[] = {
    {"_rn", FE_TONEAREST}, {"_rz", FE_TOWARDZERO}, {"_rd", FE_DOWNWARD}, {"_ru", FE_UPWARD}};

template <typename T> void directed(const char *prefix, char code) {
  std::vector<T> x = floats<T>(0), y = floats<T>(31), z = floats<T>(77);
  for (size_t i = 0; i < x.size(); i += 3) { // near each other, near cancellation, near the ends
    y[i] = T(x[i] * T(1 + T(int(i % 64) - 32) * std::numeric_limits<T>::epsilon()));
    if (i % 2)
      z[i] = -x[i] * y[i];
  }
  std::string one = std::string(1, code) + ":" + code, two = one + code, three = two + code;
  for (auto [suffix, mode] : kModes) {
    auto name = [&, s = suffix](const char *op) { return std::string(prefix) + op + s; };
    auto binary = [&, m = mode](auto body) {
      return [=](T a, T b) { return under(m, [&] { return T(body(opaque(a), opaque(b))); }); };
    };
    expectExact<T>(name("add").c_str(), two.c_str(), binary([](T a, T b) { return a + b; }), x, y);
    expectExact<T>(name("sub").c_str(), two.c_str(), binary([](T a, T b) { return a - b; }), x, y);
    expectExact<T>(name("mul").c_str(), two.c_str(), binary([](T a, T b) { return a * b; }), x, y);
    expectExact<T>(name("div").c_str(), two.c_str(), binary([](T a, T b) { return a / b; }), x, y);
    auto unary = [&, m = mode](auto body) { return [=](T a) { return under(m, [&] { return T(body(opaque(a))); }); }; };
    expectExact<T>(name("rcp").c_str(), one.c_str(), unary([](T a) { return T(1) / a; }), x);
    expectExact<T>(name("sqrt").c_str(), one.c_str(), unary([](T a) { return std::sqrt(a); }), x);
    std::string fma = std::string(sizeof(T) == 4 ? "fmaf" : "fma") + suffix;
    expectExact<T>(
        fma.c_str(), three.c_str(),
        [m = mode](T a, T b, T c) { return under(m, [&] { return std::fma(opaque(a), opaque(b), opaque(c)); }); }, x, y,
        z);
  }
}

TEST(LibdeviceExact, DirectedF32) { directed<float>("f", 'f'); }
TEST(LibdeviceExact, DirectedF64) { directed<double>("d", 'd'); }

TEST(LibdeviceExact, Conversions) {
  auto f = floats<float>(0);
  auto d = floats<double>(0);
  for (float x : floats<float>(5)) // what f32 and halfway between
    d.push_back(double(x)), d.push_back(double(x) * (1 + 0x1p-24)), d.push_back(double(x) * (1 + 0x1p-25));
  auto i = integers<int32_t>(0);
  auto l = integers<int64_t>(0);
  for (auto [suffix, mode] : kModes) {
    auto name = [&, s = suffix](const char *op) { return std::string(op) + s; };
    auto whole = [m = mode](auto x) { return under(m, [&] { return std::nearbyint(opaque(x)); }); };
    auto to = [&](auto limit, auto invalid) {
      using To = decltype(limit);
      return [=](auto x) {
        auto r = whole(x);
        if (std::isnan(r))
          return std::make_signed_t<To>(invalid);
        long double wide = r, low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
        return std::make_signed_t<To>(wide <= low ? To(low) : wide >= high ? std::numeric_limits<To>::max() : To(wide));
      };
    };
    expectExact<float>(
        name("double2float").c_str(), "f:d",
        [m = mode](double x) { return under(m, [&] { return float(opaque(x)); }); }, d);
    expectExact<int32_t>(name("float2int").c_str(), "i:f", to(int32_t(), 0), f);
    expectExact<int32_t>(name("float2uint").c_str(), "i:f", to(uint32_t(), 0), f);
    expectExact<int64_t>(name("float2ll").c_str(), "l:f", to(int64_t(), INT64_MIN), f);
    expectExact<int64_t>(name("float2ull").c_str(), "l:f", to(uint64_t(), INT64_MIN), f);
    expectExact<int32_t>(name("double2int").c_str(), "i:d", to(int32_t(), INT32_MIN), d);
    expectExact<int32_t>(name("double2uint").c_str(), "i:d", to(uint32_t(), INT32_MIN), d);
    expectExact<int64_t>(name("double2ll").c_str(), "l:d", to(int64_t(), INT64_MIN), d);
    expectExact<int64_t>(name("double2ull").c_str(), "l:d", to(uint64_t(), INT64_MIN), d);
    auto from = [m = mode](auto zero, auto type) {
      return [=](auto x) {
        using From = decltype(type);
        return under(m, [&] { return decltype(zero)(From(opaque(x))); });
      };
    };
    expectExact<float>(name("int2float").c_str(), "f:i", from(0.0f, int32_t()), i);
    expectExact<float>(name("uint2float").c_str(), "f:i", from(0.0f, uint32_t()), i);
    expectExact<float>(name("ll2float").c_str(), "f:l", from(0.0f, int64_t()), l);
    expectExact<double>(name("ll2double").c_str(), "d:l", from(0.0, int64_t()), l);
    auto fromUnsigned = [m = mode](auto zero) { // by way of long double, which is exact
      return [=](int64_t x) {
        long double exact = uint64_t(x);
        return under(m, [&] { return decltype(zero)(opaque(exact)); });
      };
    };
    expectExact<float>(name("ull2float").c_str(), "f:l", fromUnsigned(0.0f), l);
    expectExact<double>(name("ull2double").c_str(), "d:l", fromUnsigned(0.0), l);
  }
  expectExact<int64_t>(
      "llrintf", "l:f", [](float x) { return std::fabs(x) < 0x1p63f ? std::llrint(x)
                                             : x > 0                ? INT64_MAX
                                                                    : INT64_MIN; },
      f);
  expectExact<int64_t>(
      "llround", "l:d",
      [](double x) { return std::fabs(x) < 0x1p63 ? std::llround(x)
                            : x > 0               ? INT64_MAX
                                                  : INT64_MIN; }, d);
  expectExact<double>("uint2double_rn", "d:i", [](int32_t x) { return double(uint32_t(x)); }, i);
}

TEST(LibdeviceExact, OtherNames) {
  auto f = floats<float>(0), g = floats<float>(13), h = floats<float>(14);
  for (const std::string &level : fixedLevels()) {
    auto same = [&](const char *name, const char *other) {
      auto x = callExtern<float>(level, name, "f:f", f), y = callExtern<float>(level, other, "f:f", f);
      EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * 4), 0) << name;
    };
    same("__nv_fast_sinf", "__nv_sinf");
    same("__nv_fast_cosf", "__nv_cosf");
    same("__nv_fast_tanf", "__nv_tanf");
    same("__nv_fast_expf", "__nv_expf");
    same("__nv_fast_exp10f", "__nv_exp10f");
    same("__nv_fast_logf", "__nv_logf");
    same("__nv_fast_log2f", "__nv_log2f");
    same("__nv_fast_log10f", "__nv_log10f");
    auto x = callExtern<float>(level, "__nv_fast_powf", "f:ff", f, g),
         y = callExtern<float>(level, "__nv_powf", "f:ff", f, g);
    EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * 4), 0);
  }
  expectExact<float>("fast_fdividef", "f:ff", [](float a, float b) { return a / b; }, f, g);
  expectExact<float>("fmaf", "f:fff", [](float a, float b, float c) { return std::fma(a, b, c); }, f, g, h);
  expectExact<float>("frsqrt_rn", "f:f", [](float a) { return float(1 / std::sqrt(static_cast<long double>(a))); }, f);
  expectExact<double>(
      "rcp64h", "d:d", [](double a) { return as<double>(as<uint64_t>(1 / a) >> 32 << 32); }, floats<double>(0));
}

std::string refusalOf(const char *symbol, const char *types) {
  Plan p;
  externPlan(p, symbol, types);
  Module module = p.finish();
  auto result = opw::cpu::emit(module, module.functions[0], {.level = "x86-64-v3"});
  return result ? "" : render(result.diagnostics());
}

TEST(LibdeviceRefusal, NamesTheSymbol) {
  std::string unknown = refusalOf("__nv_frobnicate", "f:f");
  EXPECT_NE(unknown.find("the external function '__nv_frobnicate' is not known"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("docs/math.md"), std::string::npos) << unknown;
  std::string types = refusalOf("__nv_sinf", "d:d");
  EXPECT_NE(types.find("'__nv_sinf' is used as (f64) -> f64, expected (f32) -> f32"), std::string::npos) << types;
}

/// Scalars, and vectors of the widths that short loops have.
TEST(LibdeviceShapes, AllWidths) {
  const std::pair<const char *, double (*)(double)> functions[] = {
      {"sin", std::sin}, {"erfc", std::erfc}, {"tgamma", std::tgamma}, {"cbrt", std::cbrt}, {"log1p", std::log1p}};
  std::vector<double> in, out(64);
  for (int i = 0; i < 64; i++)
    in.push_back(i % 5 == 4 ? 1e12 + i : 0.3 + i * 0.37);
  for (const std::string &level : fixedLevels())
    for (auto [name, reference] : functions)
      for (int count : {-1, 1, 2, 3, 4, 5, 8, 9, 33, 64}) { // -1: outside of a lane loop
        Plan p;
        ValueId x = p.pointer(Elem::F64), y = p.pointer(Elem::F64);
        Attributes attributes = attribute("symbol", Attribute::string(std::string("__nv_") + name));
        auto body = [&](ValueId i) {
          p.store(y, i, p.op(OpKind::ExternElementwise, {p.load(x, i)}, Type::scalar(Elem::F64), attributes));
        };
        if (count < 0)
          p.seq(p.c(0), p.c(7), {}, [&](ValueId i, std::vector<ValueId>) {
            body(i);
            return std::vector<ValueId>{};
          });
        else
          p.lanes(p.c(0), p.c(count), body);
        Kernel kernel(p, level);
        kernel.run(1, in.data(), out.data());
        for (int i = 0; i < (count < 0 ? 7 : count); i++)
          EXPECT_LE(ulps(out[i], reference(in[i])), 5) << level << " " << name << " of " << in[i] << " in " << count;
      }
}

TEST(LibdeviceShapes, BesselOrdersOfEveryLane) { // loops until the last lane is done
  std::vector<int32_t> n;
  std::vector<double> x;
  for (int i = 0; i < 37; i++)
    n.push_back(i * 7 % 20), x.push_back(0.5 + i * 1.3);
  for (const std::string &level : fixedLevels()) {
    std::vector<double> j = callExtern<double>(level, "__nv_jn", "d:id", n, x);
    for (size_t i = 0; i < x.size(); i++)
      EXPECT_NEAR(j[i], ::jn(n[i], x[i]), 1e-15);
  }
}

} // namespace
