// What is too deep, too long or too large: a compilation stays proportional to the kernel, or is refused with a reason.
// A stage that grows exponentially does not end in time here; one that recurses without a limit crashes.
#include "driver/compile.h"
#include "frontend/ttir/parse.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace {

using namespace opw;

/// `~` and `$` in the line stand for the numbers of a link and of the next one.
std::string chain(int count, const std::string &line) {
  std::string text;
  for (int i = 0; i < count; ++i)
    for (char c : line) {
      if (c == '~')
        text += std::to_string(i);
      else if (c == '$')
        text += std::to_string(i + 1);
      else
        text += c;
    }
  return text;
}

std::string kernel(const std::string &body) {
  return R"(module {
  tt.func public @k(%p: !tt.ptr<f32>, %q: !tt.ptr<i32>, %n: i32, %c: i1) {
    %i = tt.make_range {end = 64 : i32, start = 0 : i32} : tensor<64xi32>
    %ps = tt.splat %p : !tt.ptr<f32> -> tensor<64x!tt.ptr<f32>>
    %pa = tt.addptr %ps, %i : tensor<64x!tt.ptr<f32>>, tensor<64xi32>
    %qs = tt.splat %q : !tt.ptr<i32> -> tensor<64x!tt.ptr<i32>>
    %qa = tt.addptr %qs, %i : tensor<64x!tt.ptr<i32>>, tensor<64xi32>
    %ns = tt.splat %n : i32 -> tensor<64xi32>
    %in = arith.cmpi slt, %i, %ns : tensor<64xi32>
    %f0 = tt.load %pa, %in : tensor<64x!tt.ptr<f32>>
    %g0 = tt.reshape %f0 : tensor<64xf32> -> tensor<8x8xf32>
    %x0 = tt.load %qa, %in : tensor<64x!tt.ptr<i32>>
)" + body +
         "    tt.return\n  }\n}\n";
}

Result<ir::Module> planOf(const std::string &text, size_t maxOps = passes::PlanOptions().maxOps) {
  Result<ir::Module> tile = ttir::parse(text, "kernel.ttir");
  if (!tile)
    return tile;
  Result<ir::Module> normal = passes::normalize(*tile);
  if (!normal)
    return normal;
  return passes::lowerToPlan(*normal, {.argsDisjoint = true, .vectorLanes = 16, .maxOps = maxOps});
}

std::string messageOf(const std::string &text) {
  Result<ir::Module> plan = planOf(text);
  return plan ? "" : plan.diagnostics()[0].message;
}

size_t opsOf(const std::string &text) {
  Result<ir::Module> plan = planOf(text);
  EXPECT_TRUE(plan) << render(plan.diagnostics());
  return plan ? plan->functions.front().ops.size() : 0;
}

const std::string kF = "tensor<64xf32>", kI = "tensor<64xi32>";

std::string stored(int n) { return "tt.store %pa, %f" + std::to_string(n) + ", %in : tensor<64x!tt.ptr<f32>>\n"; }

std::string summed(int n) {
  return "%r = \"tt.reduce\"(%f" + std::to_string(n) + R"() <{axis = 0 : i32}> ({
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      tt.reduce.return %s : f32
    }) : (tensor<64xf32>) -> f32
    tt.store %p, %r : !tt.ptr<f32>
)";
}

/// Each link uses the one before it twice.
void expectLinear(const std::function<std::string(int)> &make) {
  size_t few = opsOf(kernel(make(30))), many = opsOf(kernel(make(60)));
  EXPECT_LT(many, 3 * few);
}

TEST(Limits, OperationsOfAPlan) {
  std::string text = kernel(chain(50, "%f$ = arith.mulf %f~, %f~ : " + kF + "\n") + stored(50));
  EXPECT_TRUE(planOf(text));
  Result<ir::Module> plan = planOf(text, 40);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.diagnostics()[0].message, "kernel whose plan takes more than 40 operations");
  EXPECT_EQ(plan.diagnostics()[0].kernel, "k");
}

TEST(Growth, SumsOfIntegers) {
  expectLinear([](int n) {
    return chain(n, "%x$ = arith.addi %x~, %x~ : " + kI + "\n") + "tt.store %qa, %x" + std::to_string(n) +
           ", %in : tensor<64x!tt.ptr<i32>>\n";
  });
}

TEST(Growth, WhatAReductionSkips) {
  expectLinear([](int n) { return chain(n, "%f$ = arith.mulf %f~, %f~ : " + kF + "\n") + summed(n); });
}

TEST(Growth, WhatAReductionFills) {
  expectLinear([](int n) { return chain(n, "%f$ = arith.mulf %f~, %f~ : " + kF + "\n") + summed(n) + stored(n); });
}

TEST(Growth, RegroupedElements) {
  expectLinear([](int n) {
    return chain(n, "%a~ = tt.reshape %g~ : tensor<8x8xf32> -> tensor<2x32xf32>\n"
                    "%b~ = tt.trans %a~ {order = array<i32: 1, 0>} : tensor<2x32xf32> -> tensor<32x2xf32>\n"
                    "%h~ = tt.reshape %b~ : tensor<32x2xf32> -> tensor<8x8xf32>\n"
                    "%g$ = arith.addf %g~, %h~ : tensor<8x8xf32>\n") +
           "%y = tt.reshape %g" + std::to_string(n) + " : tensor<8x8xf32> -> " + kF +
           "\ntt.store %pa, %y, %in : tensor<64x!tt.ptr<f32>>\n";
  });
}

TEST(Growth, JoinedAndSplitElements) {
  expectLinear([](int n) {
    return chain(n, "%j~ = tt.join %f~, %f~ : " + kF + " -> tensor<64x2xf32>\n" +
                        "%k~ = tt.reshape %j~ : tensor<64x2xf32> -> tensor<2x64xf32>\n"
                        "%t~ = tt.trans %k~ {order = array<i32: 1, 0>} : tensor<2x64xf32> -> tensor<64x2xf32>\n"
                        "%a~, %b~ = tt.split %t~ : tensor<64x2xf32> -> " +
                        kF + "\n%f$ = arith.addf %a~, %b~ : " + kF + "\n") +
           stored(n);
  });
}

TEST(Depth, LongChainsOfTiles) {
  constexpr int kLong = 20000;
  EXPECT_EQ(messageOf(kernel(chain(kLong, "%f$ = math.exp %f~ : " + kF + "\n") + stored(kLong))), "");
}

TEST(Depth, LongChainsOfShapes) {
  constexpr int kLong = 20000;
  EXPECT_EQ(messageOf(kernel(chain(kLong, "%h~ = tt.reshape %f~ : " + kF +
                                              " -> tensor<4x16xf32>\n%f$ = tt.reshape %h~ : "
                                              "tensor<4x16xf32> -> " +
                                              kF + "\n") +
                             stored(kLong))),
            "");
}

TEST(Depth, LongChainsOfScalars) {
  constexpr int kLong = 20000;
  std::string last = std::to_string(kLong);
  EXPECT_EQ(messageOf(kernel("%s0 = arith.addi %n, %n : i32\n" + chain(kLong, "%s$ = arith.addi %s~, %n : i32\n") +
                             "%z = tt.addptr %p, %s" + last +
                             " : !tt.ptr<f32>, i32\n%zs = tt.splat %z : !tt.ptr<f32> -> "
                             "tensor<64x!tt.ptr<f32>>\n%za = tt.addptr %zs, %i : tensor<64x!tt.ptr<f32>>, " +
                             kI + "\n%f1 = tt.load %za : tensor<64x!tt.ptr<f32>>\n" + summed(1) + stored(1))),
            "");
}

TEST(Depth, CallsInCalls) {
  auto calls = [](int n) {
    return "module {\ntt.func public @f0() {\ntt.call @f1() : () -> ()\ntt.return\n}\n" +
           chain(n, "tt.func private @f$() {\ntt.call @g$() : () -> ()\ntt.return\n}\n"
                    "tt.func private @g~() {\ntt.call @f$() : () -> ()\ntt.return\n}\n") +
           "tt.func private @g" + std::to_string(n) + "() {\ntt.return\n}\n}\n";
  };
  EXPECT_EQ(messageOf(calls(100)), "");
  EXPECT_EQ(messageOf(calls(5000)), "nested deeper than 500 levels of blocks, calls and early returns, in the function "
                                    "'g250'");
}

TEST(Depth, CallsThatDouble) {
  std::string text =
      "module {\ntt.func public @f0(%p: !tt.ptr<f32>) {\ntt.call @f1(%p) : (!tt.ptr<f32>) -> ()\ntt.return\n}\n" +
      chain(40, "tt.func private @f$(%p: !tt.ptr<f32>) {\ntt.call @g$(%p) : (!tt.ptr<f32>) -> ()\n"
                "tt.call @g$(%p) : (!tt.ptr<f32>) -> ()\ntt.return\n}\n"
                "tt.func private @g~(%p: !tt.ptr<f32>) {\ntt.call @f$(%p) : (!tt.ptr<f32>) -> ()\ntt.return\n}\n") +
      "tt.func private @g40(%p: !tt.ptr<f32>) {\ntt.return\n}\n}\n";
  EXPECT_EQ(messageOf(text).substr(0, 75),
            "calls and early returns that would copy the code in and after them too ofte");
}

TEST(Depth, BlocksAfterBlocks) {
  auto returns = [](int n) {
    return kernel("cf.br ^b0\n" + chain(n, "^b~:\ncf.cond_br %c, ^e, ^b$\n") + "^b" + std::to_string(n) +
                  ":\ncf.br ^e\n^e:\n");
  };
  EXPECT_EQ(messageOf(returns(100)), "");
  EXPECT_EQ(messageOf(returns(5000)), "nested deeper than 500 levels of blocks, calls and early returns");
  EXPECT_EQ(messageOf(kernel("cf.br ^b0\n" + chain(5000, "^b~:\ncf.br ^b$\n") + "^b5000:\n")),
            "nested deeper than 500 levels of blocks, calls and early returns");
}

TEST(Depth, LoopsInLoops) {
  auto loops = [](int n) {
    return kernel(chain(n, "scf.for %k~ = %n to %n step %n : i32 {\n") + stored(0) + chain(n, "}\n"));
  };
  EXPECT_EQ(messageOf(loops(90)), "");
  EXPECT_EQ(messageOf(loops(5000)), "nested deeper than 100 levels");
}

/// Scans of tiles of 8 MiB, each kept until the end.
std::string scans(int count) {
  return R"(module {
  tt.func public @large(%p: !tt.ptr<f64>) {
    %i = tt.make_range {end = 1048576 : i32, start = 0 : i32} : tensor<1048576xi32>
    %ps = tt.splat %p : !tt.ptr<f64> -> tensor<1048576x!tt.ptr<f64>>
    %pa = tt.addptr %ps, %i : tensor<1048576x!tt.ptr<f64>>, tensor<1048576xi32>
    %x0 = tt.load %pa : tensor<1048576x!tt.ptr<f64>>
)" + chain(count, R"(    %x$ = "tt.scan"(%x~) <{axis = 0 : i32, reverse = false}> ({
    ^bb0(%a: f64, %b: f64):
      %c = arith.addf %a, %b : f64
      tt.scan.return %c : f64
    }) : (tensor<1048576xf64>) -> tensor<1048576xf64> loc("kernel.py":$:5)
)") + chain(count, "    tt.store %pa, %x$ : tensor<1048576x!tt.ptr<f64>>\n") +
         "    tt.return\n  }\n}\n";
}

TEST(Scratch, IsLimited) {
  driver::CompileOptions options;
  options.level = "x86-64-v3";
  options.argsDisjoint = true;
  Result<driver::CompiledKernel> fits = driver::compileKernel(scans(20), options);
  ASSERT_TRUE(fits) << render(fits.diagnostics());
  EXPECT_EQ(fits->scratchBytes, uint64_t{20} << 23);
  Result<driver::CompiledKernel> large = driver::compileKernel(scans(160), options);
  ASSERT_FALSE(large);
  EXPECT_EQ(
      render(large.diagnostics()),
      "kernel.py:1:5: error: the tiles that this kernel keeps take 1.2 GiB for each thread, expected at most 1.0 GiB; "
      "the largest are of kernel.py:1 (8.0 MiB), kernel.py:2 (8.0 MiB), kernel.py:3 (8.0 MiB) in kernel 'large'\n"
      "  hint: use smaller blocks, or split the kernel so that fewer tiles are in use at once\n");
}

TEST(Driver, VerifiesWhatItIsGiven) {
  Result<driver::CompiledKernel> kernel =
      driver::compileKernel("module {\n  tt.func public @k(%c: i1) {\n    cf.cond_br %c, ^bb1, ^bb2\n  ^bb1:\n    %0 = "
                            "arith.constant 1 : i32\n    cf.br ^bb2\n  ^bb2:\n    %1 = arith.addi %0, %0 : i32\n    "
                            "tt.return\n  }\n}\n",
                            {.level = "x86-64-v3"});
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.diagnostics()[0].message, "uses a value before it is defined");
}

} // namespace
