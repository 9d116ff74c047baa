// Kernels of the level aarch64 under the emulator against the same kernels of this machine. Where every result is exact
// (integers, or sums of small whole numbers) the bytes must be the same; elsewhere the bound is derived beside it, in
// u = 2^-24, from functions within 2 units of the last place (4 u) and sums of n terms within n u.
#include "codegen/cpu/jit.h"
#include "driver/compile.h"
#include "emulated.h"
#include "opwright/plugin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

using namespace opw;
using namespace opw::test;

namespace {

constexpr double u = 0x1p-24;

struct Argument {
  template <typename T> Argument(std::vector<T> &values)
      : value(reinterpret_cast<uint64_t>(values.data())), bytes(values.size() * sizeof(T)), pointer(true) {}
  Argument(int number) : value(uint64_t(int64_t(number))) {}
  Argument(float number) {
    uint32_t bits;
    std::memcpy(&bits, &number, 4);
    value = bits;
  }
  uint64_t value = 0;
  size_t bytes = 0;
  bool pointer = false;
};

class Emulator : public testing::Test {
protected:
  /// The file's kernel on both machines: the emulated one on the vectors that are given, the other on copies of them.
  void run(const std::string &file, std::array<uint32_t, 3> grid, std::vector<Argument> arguments,
           uint32_t threads = 1) {
    std::ifstream in(std::string(OPW_TEST_DATA) + "/" + file);
    std::ostringstream text;
    text << in.rdbuf();
    auto there = driver::compileKernel(text.str(), {.level = "aarch64"}), here = driver::compileKernel(text.str(), {});
    ASSERT_TRUE(there) << render(there.diagnostics());
    ASSERT_TRUE(here) << render(here.diagnostics());

    copies.clear();
    std::vector<uint64_t> values;
    std::vector<emulated_slot_t> slots;
    std::vector<Region> regions;
    for (const Argument &argument : arguments) {
      values.push_back(argument.value);
      slots.push_back({argument.value, -1});
      copies.emplace_back();
      if (!argument.pointer)
        continue;
      auto *start = reinterpret_cast<char *>(argument.value);
      copies.back().assign(start, start + argument.bytes);
      values.back() = reinterpret_cast<uint64_t>(copies.back().data());
      slots.back().region = int64_t(regions.size());
      regions.push_back({start, argument.bytes});
    }
    int64_t programs = int64_t{grid[0]} * grid[1] * grid[2];

    auto code = cpu::JitModule::load(here->object);
    ASSERT_TRUE(code);
    auto entry = reinterpret_cast<opw_cpu_entry_t>((*code)->lookup("opw_kernel").address);
    opw_cpu_launch_t launch{};
    launch.struct_size = sizeof launch;
    launch.epoch = 1;
    opw_cpu_args_t args{};
    args.struct_size = sizeof args;
    std::copy(grid.begin(), grid.end(), args.grid);
    args.slot_count = uint32_t(values.size());
    args.launch = &launch;
    args.slots = values.data();
    opw_cpu_scratch_t scratch{};
    scratch.bytes = (here->scratchBytes + 63) / 64 * 64 + 64;
    scratch.memory = std::aligned_alloc(64, scratch.bytes);
    EXPECT_EQ(entry(&args, 0, programs, &scratch), 0);
    std::free(scratch.memory);

    auto emulated = Emulated::start(there->object);
    ASSERT_NE(emulated, nullptr);
    emulated_call_t call{.flags = 0,
                         .grid = {grid[0], grid[1], grid[2]},
                         .low = 0,
                         .high = programs,
                         .epoch = 1,
                         .scratch_bytes = there->scratchBytes,
                         .slots = 0,
                         .regions = 0,
                         .threads = threads,
                         .reserved = 0};
    emulated_answer_t answer{};
    ASSERT_TRUE(emulated->call(call, slots, regions, answer)) << "the process under the emulator died";
    EXPECT_EQ(answer.status, 0);
  }

  template <typename T> const T *here(size_t argument) const {
    return reinterpret_cast<const T *>(copies[argument].data());
  }

  template <typename T> void expectSame(size_t argument, const std::vector<T> &there) const {
    for (size_t i = 0; i < there.size(); i++)
      ASSERT_EQ(std::memcmp(&there[i], here<T>(argument) + i, sizeof(T)), 0)
          << "argument " << argument << " at " << i << ": " << +there[i] << ", here " << +here<T>(argument)[i];
  }

  /// |there - here| <= absolute + relative * |here|, NaN where NaN is.
  void expectNear(size_t argument, const std::vector<float> &there, double absolute, double relative) const {
    std::vector<double> x(there.begin(), there.end()), y(here<float>(argument), here<float>(argument) + there.size());
    compare(x, y, absolute, relative);
  }
  void expectNear(size_t argument, const std::vector<_Float16> &there, double absolute, double relative) const {
    std::vector<double> x(there.begin(), there.end()),
        y(here<_Float16>(argument), here<_Float16>(argument) + there.size());
    compare(x, y, absolute, relative);
  }

private:
  std::vector<std::vector<char>> copies;

  static void compare(const std::vector<double> &x, const std::vector<double> &y, double absolute, double relative) {
    double worst = 0;
    size_t finite = 0, equal = 0;
    for (size_t i = 0; i < x.size(); i++) {
      ASSERT_EQ(std::isnan(x[i]), std::isnan(y[i])) << i;
      finite += std::isfinite(x[i]), equal += x[i] == y[i];
      if (std::isnan(x[i]) || x[i] == y[i])
        continue;
      double apart = std::fabs(x[i] - y[i]) / (absolute + relative * std::fabs(y[i]));
      ASSERT_LE(apart, 1) << "at " << i << ": " << x[i] << ", here " << y[i];
      worst = std::max(worst, apart);
    }
    RecordProperty("worst", std::to_string(worst));
    if (std::getenv("OPW_VERBOSE"))
      std::printf("%.4f of the bound; of %zu values %zu finite, %zu equal\n", worst, x.size(), finite, equal);
  }
};

/// Multiples of 1/16 in [-2, 2): sums of thousands are exact.
template <typename T> std::vector<T> sixteenths(size_t count, unsigned seed) {
  std::vector<T> values(count);
  uint32_t state = seed * 2654435761u + 1;
  for (T &value : values) {
    state = state * 1664525u + 1013904223u;
    value = T(float(int(state >> 26) - 32) / 16);
  }
  return values;
}

TEST_F(Emulator, VectorAdd) {
  for (int n : {0, 1, 3, 1000, 1024, 5003}) {
    auto x = sixteenths<float>(size_t(n), 1), y = sixteenths<float>(size_t(n), 2);
    std::vector<float> out(size_t(n), -1);
    run("passes/vector_add.ttir", {uint32_t(n / 1024 + 1), 1, 1}, {out, x, y, n});
    expectSame(0, out);
  }
}

TEST_F(Emulator, Softmax) {
  for (int columns : {1, 7, 781, 1024}) {
    auto x = sixteenths<float>(size_t(columns) * 3, 3);
    std::vector<float> out(x.size());
    run("passes/softmax.ttir", {3, 1, 1}, {out, x, columns});
    expectNear(0, out, 0, 2 * (columns + 4 + 4 + 1) * u); // on each side the sum, two exponentials, the quotient
  }
}

TEST_F(Emulator, SoftmaxInABuffer) {
  auto x = sixteenths<float>(300 * 2, 4);
  std::vector<float> out(x.size());
  run("passes/softmax_large.ttir", {2, 1, 1}, {out, x, 300});
  expectNear(0, out, 0, 2 * (300 + 9) * u);
}

TEST_F(Emulator, LayerNorm) {
  for (int columns : {5, 768, 1023}) {
    auto x = sixteenths<float>(size_t(columns) * 3, 5), weight = sixteenths<float>(size_t(columns), 6),
         bias = sixteenths<float>(size_t(columns), 7);
    std::vector<float> out(x.size());
    run("passes/layer_norm.ttir", {3, 1, 1}, {out, x, weight, bias, columns, 1e-5f});
    // the mean is the same; the variance within n u, its root half of that; then five roundings. Normalised values are
    // below sqrt(n), weights and biases below 2
    expectNear(0, out, 2 * (columns / 2.0 + 5) * u * (2 * std::sqrt(columns) + 2), 0);
  }
}

/// Weights are rounded to f16, where both may fall on different sides: 2^-10 of them; so may the result.
TEST_F(Emulator, Attention) {
  for (int length : {64, 100}) {
    size_t count = size_t(length) * 64 * 2;
    auto q = sixteenths<_Float16>(count, 8), k = sixteenths<_Float16>(count, 9), v = sixteenths<_Float16>(count, 10);
    std::vector<_Float16> out(count);
    run("passes/attention.ttir", {uint32_t(length + 63) / 64, 2, 1}, {out, q, k, v, 0.125f, length});
    expectNear(0, out, 2 * 2 * 0x1p-10, 0);
  }
  auto q = sixteenths<_Float16>(50 * 16, 11), k = sixteenths<_Float16>(50 * 16, 12),
       v = sixteenths<_Float16>(50 * 16, 13);
  std::vector<_Float16> out(q.size());
  run("ir/ttir/attend.ttir", {4, 1, 1}, {q, k, v, out, 50, 0.25f});
  expectNear(3, out, 2 * 2 * 0x1p-10, 0);
}

/// exp, erf, sin and roots of f32 and f16 behind a mask. The term under the root is in [1.4, 1004] and within 6 u: its
/// root, at most 32, within 4 u, and two sums of at most 33 and their terms within 3 u of it.
TEST_F(Emulator, Blend) {
  const int n = 700;
  auto x = sixteenths<float>(n, 14);
  auto y = sixteenths<_Float16>(n, 15);
  for (_Float16 &value : y)
    value = value / 40;
  std::vector<float> out(n);
  run("ir/ttir/blend.ttir", {3, 1, 1}, {x, y, out, n});
  expectNear(2, out, 2 * 33 * 7 * u, 0);
}

TEST_F(Emulator, Conversions) {
  std::vector<float> x(64);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = std::ldexp(1 + float(i) * 0.0173f, int(i) - 24) * (i % 3 ? 1 : -1);
  x[1] = NAN, x[2] = INFINITY, x[3] = -0.0f, x[4] = 448, x[5] = 464, x[6] = 57344, x[7] = 61440;
  std::vector<uint8_t> bytes(64), e5m2(64), e4m3(64);
  std::vector<uint16_t> bf16(64);
  run("ir/ttir/convert.ttir", {1, 1, 1}, {x, bytes, bf16, e5m2, e4m3});
  expectSame(1, bytes), expectSame(2, bf16), expectSame(3, e5m2), expectSame(4, e4m3);
}

TEST_F(Emulator, NarrowElements) {
  for (int n : {1, 255, 256, 777}) {
    std::vector<int8_t> a;
    std::vector<int16_t> b, out(size_t(n), -1);
    for (int i = 0; i < n; i++)
      a.push_back(int8_t(i * 37)), b.push_back(int16_t(i * 7919));
    auto half = sixteenths<_Float16>(size_t(n) * 2 - 1, 16);
    run("emulator/narrow.ttir", {uint32_t(n / 256 + 1), 1, 1}, {a, b, out, half, n});
    expectSame(2, out), expectNear(3, half, 0, 0);
    for (int i = 0; i < n; i++)
      ASSERT_EQ(out[size_t(i)], int16_t(a[size_t(i)] * b[size_t(i)])) << i;
  }
}

TEST_F(Emulator, ScansAndIndices) {
  auto x = sixteenths<float>(8 * 16, 17);
  std::vector<float> out(8);
  std::vector<int32_t> where(8);
  run("ir/ttir/combine.ttir", {1, 1, 1}, {x, out, where});
  expectSame(1, out), expectSame(2, where);
}

TEST_F(Emulator, SortGatherHistogram) {
  auto x = sixteenths<float>(16, 18);
  std::vector<int32_t> at(16), counts(8);
  for (int i = 0; i < 16; i++)
    at[size_t(i)] = i * 5 % 8;
  std::vector<float> out(32);
  run("ir/ttir/rearrange.ttir", {1, 1, 1}, {x, at, out, counts});
  expectSame(2, out), expectSame(3, counts);
}

TEST_F(Emulator, ScaledDot) {
  auto a = sixteenths<_Float16>(16 * 64, 19);
  std::vector<int8_t> b(32 * 32), scale(32 * 2);
  for (size_t i = 0; i < b.size(); i++)
    b[i] = int8_t(i * 73 >> 2);
  for (size_t i = 0; i < scale.size(); i++)
    scale[i] = int8_t(125 + i % 3);
  std::vector<float> out(16 * 32);
  run("ir/ttir/scaled.ttir", {1, 1, 1}, {a, b, scale, out});
  expectSame(3, out);
}

TEST_F(Emulator, RandomBits) {
  auto x = sixteenths<float>(200, 20);
  std::vector<float> out(200);
  run("ir/ttir/thin_out.ttir", {4, 1, 1}, {x, out, 12345, 200});
  expectSame(1, out);
}

TEST_F(Emulator, AtomicsOfFourThreads) {
  const int programs = 400;
  std::vector<_Float16> half(16);
  std::vector<int64_t> sum(16), last{-1};
  std::vector<double> total(1);
  std::vector<int32_t> bits(1);
  run("emulator/atomics.ttir", {programs, 1, 1}, {half, sum, total, bits, last}, 4);
  for (size_t i = 0; i < 16; i++) {
    EXPECT_EQ(float(half[i]), programs);
    EXPECT_EQ(sum[i], int64_t(i) * programs);
  }
  EXPECT_EQ(total[0], programs * (programs - 1) / 2);
  EXPECT_EQ(bits[0], -1);
  EXPECT_TRUE(last[0] >= 0 && last[0] < programs && last[0] % (programs / 4) == 0) << last[0]; // a thread's first one
}

TEST_F(Emulator, LockOfFourThreads) {
  std::vector<int32_t> counts(32), lock(1);
  std::vector<float> sums(32);
  run("ir/ttir/synchronise.ttir", {100, 1, 1}, {counts, sums, lock, 20}, 4);
  for (size_t i = 0; i < 32; i++) {
    EXPECT_EQ(counts[i], i < 20 ? 100 : 0);
    EXPECT_EQ(sums[i], 150);
  }
  EXPECT_EQ(lock[0], 0);
}

} // namespace
