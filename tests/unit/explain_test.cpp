// Remarks on plans written by hand, and what holds for every plan: tests/python/test_explain.py has whole kernels.
#include "driver/explain.h"
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace {

using namespace opw;
using driver::Remark;

std::vector<std::string> explain(const std::string &body, const char *level) {
  Result<ir::Module> tile = ir::parse("func public @k(%p: !tt.ptr<f32>, %n: i64) {\n  tt.return\n}\n", "k.ir");
  Result<ir::Module> plan =
      ir::parse("func public @k(%p: !tt.ptr<f32>, %n: i64) {\n" + body + "  tt.return\n}\n", "k.ir");
  EXPECT_TRUE(tile && plan) << (plan ? "" : render(plan.diagnostics()));
  std::vector<std::string> texts;
  if (tile && plan)
    for (const Remark &remark : driver::explainPlan(*tile, *plan, *cpu::findLevel(level)))
      texts.push_back(std::to_string(remark.line) + " " + remark.kind + ": " + remark.text);
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Explain, MicroKernelsKeepMoreLanesWhereRowsAreFew) {
  const std::string dot = "  %c = plan.buffer {elements = 128} : !tt.ptr<f32>\n"
                          "  plan.dot %c, %p, %p {rows = ROWS, lanes = 64, depth = 8, panel = PANEL, init = zero}\n";
  auto shape = [&](const char *level, const char *rows, const char *panel) {
    std::string text = dot;
    text.replace(text.find("ROWS"), 4, rows).replace(text.find("PANEL"), 5, panel);
    std::string found = explain(text, level).at(1);
    return found.substr(found.rfind("of ") + 3);
  };
  EXPECT_EQ(shape("x86-64-v4", "64", "32"), "8 x 32");
  EXPECT_EQ(shape("x86-64-v4", "64", "16"), "16 x 16"); // as many accumulators in a narrow panel
  EXPECT_EQ(shape("x86-64-v4", "2", "64"), "2 x 64");
  EXPECT_EQ(shape("x86-64-v3", "64", "16"), "4 x 16");
  EXPECT_EQ(shape("x86-64-v3", "2", "32"), "2 x 32");
}

TEST(Explain, SequentialLoopsOverLaneLoopsAreNotSlow) {
  const std::string head = "  %lo = arith.constant 0 : i64\n  %hi = arith.constant 10 : i64\n"
                           "  %step = arith.constant 3 : i64\n  %one = arith.constant 1 : i64\n";
  EXPECT_EQ(explain(head +
                        "  plan.loop %lo, %hi, %step { ^(%i: i64):\n    plan.loop %lo, %n, %one {lane} { ^(%j: i64):\n"
                        "      %x = plan.load %p, %j : f32\n      plan.store %p, %j, %x\n      scf.yield\n    }\n"
                        "    scf.yield\n  }\n",
                    "x86-64-v4"),
            (Texts{"6 loop: sequential loop, 4 iterations",
                   "7 loop: vectorized loop, width 16, interleave 2, trip count known at run time, masked tail",
                   "8 load: contiguous load of 16 x f32 from p", "9 store: contiguous store of 16 x f32 to p"}));
  EXPECT_EQ(explain(head + "  plan.loop %lo, %n, %step { ^(%i: i64):\n    %x = plan.load %p, %i : f32\n"
                           "    plan.store %p, %i, %x\n    scf.yield\n  }\n",
                    "x86-64-v4"),
            (Texts{"6 loop: sequential loop, trip count known at run time",
                   "6 slow: scalar loop: its elements are computed one after the other",
                   "7 load: scalar load of f32 from p", "8 store: scalar store of f32 to p"}));
}

TEST(Explain, PrefetchesGoWithTheAccessAtTheirOffset) {
  EXPECT_EQ(explain("  %lo = arith.constant 0 : i64\n  %one = arith.constant 1 : i64\n"
                    "  %next = tt.addptr %p, %n : !tt.ptr<f32>\n"
                    "  plan.loop %lo, %n, %one {lane} { ^(%j: i64):\n"
                    "    plan.prefetch %next, %j\n    %x = plan.load %p, %j : f32\n    plan.store %p, %j, %x\n"
                    "    plan.prefetch %next, %j {write}\n    scf.yield\n  }\n",
                    "x86-64-v3"),
            (Texts{"5 loop: vectorized loop, width 8, interleave 2, trip count known at run time, masked tail",
                   "7 prefetch: p of a later iteration or program", "7 load: contiguous load of 8 x f32 from p",
                   "8 store: contiguous store of 8 x f32 to p",
                   "8 prefetch: p of a later iteration or program, to be written"}));
}

TEST(Explain, AtomicsAreDoneLaneByLane) {
  EXPECT_EQ(explain("  %lo = arith.constant 0 : i64\n  %one = arith.constant 1 : i64\n  %x = arith.constant 1.0 : f32\n"
                    "  plan.loop %lo, %n, %one {lane} { ^(%j: i64):\n    %at = tt.addptr %p, %j : !tt.ptr<f32>\n"
                    "    %old = tt.atomic_rmw %at, %x {atomic_rmw_op = fadd} : f32\n    scf.yield\n  }\n",
                    "x86-64-v4")
                .at(1),
            "7 atomic: atomic_rmw fadd of f32 on p, one for each lane");
}

/// Whole kernels: every remark has a line of the kernel's file and is there once.
class Kernels : public testing::TestWithParam<const char *> {};

TEST_P(Kernels, EveryRemarkHasItsLine) {
  std::ifstream in(std::string(OPW_TEST_DATA) + "/passes/" + GetParam() + ".ttir");
  std::ostringstream text;
  text << in.rdbuf();
  Result<ir::Module> tile = ttir::parse(text.str(), "k.ttir");
  ASSERT_TRUE(tile);
  Result<ir::Module> normal = passes::normalize(*tile);
  ASSERT_TRUE(normal);
  Result<ir::Module> plan = passes::lowerToPlan(*normal, {});
  ASSERT_TRUE(plan);
  std::vector<Remark> remarks = driver::explainPlan(*normal, *plan, *cpu::findLevel("x86-64-v4"));
  ASSERT_GE(remarks.size(), 5u);
  std::string file = ir::sourceOf(*plan, plan->functions.front().location).file;
  for (size_t i = 0; i < remarks.size(); ++i) {
    EXPECT_EQ(remarks[i].file, file);
    EXPECT_GT(remarks[i].line, 0u);
    EXPECT_TRUE(std::none_of(remarks.begin(), remarks.begin() + static_cast<std::ptrdiff_t>(i),
                             [&](const Remark &other) {
                               return other.line == remarks[i].line && other.kind == remarks[i].kind &&
                                      other.text == remarks[i].text;
                             }))
        << remarks[i].text;
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, Kernels, testing::Values("vector_add", "softmax", "layer_norm", "attention"));

} // namespace
