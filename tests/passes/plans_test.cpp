// What the planner makes of whole kernels: NAME.plan is the plan of NAME.ttir, with arguments that do not overlap.
// OPW_UPDATE=1 in the environment rewrites the plans; what fusion must achieve is asserted apart from the texts.
#include "frontend/ttir/parse.h"
#include "ir/verify.h"
#include "passes/lower_to_plan.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using namespace opw;
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(OPW_TEST_DATA) / "passes";

std::string readFile(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

ir::Module planOf(const std::string &name, bool argsDisjoint = true) {
  Result<ir::Module> tile = ttir::parse(readFile(kFolder / (name + ".ttir")), name + ".ttir");
  EXPECT_TRUE(tile) << render(tile.diagnostics());
  Result<ir::Module> plan = passes::lowerToPlan(*tile, {.argsDisjoint = argsDisjoint, .vectorLanes = 16});
  EXPECT_TRUE(plan) << render(plan.diagnostics());
  Status valid = ir::verify(*plan);
  EXPECT_TRUE(valid) << render(valid.diagnostics());
  return *plan;
}

struct Facts {
  int64_t buffers = 0, elements = 0, laneLoops = 0, loops = 0, dots = 0, ops = 0;
};

Facts factsOf(const ir::Module &module) {
  Facts facts;
  const ir::Function &fn = module.functions.front();
  for (const ir::Op &op : fn.ops) {
    if (op.parent == ir::kNone)
      continue;
    ++facts.ops;
    facts.loops += op.kind == ir::OpKind::PlanLoop;
    facts.laneLoops += op.kind == ir::OpKind::PlanLoop && op.attributes.has("lane");
    facts.dots += op.kind == ir::OpKind::PlanDot;
    if (op.kind == ir::OpKind::PlanBuffer) {
      ++facts.buffers;
      facts.elements += op.attributes.intOr("elements", 0);
    }
  }
  return facts;
}

class Plans : public testing::TestWithParam<const char *> {};

TEST_P(Plans, AreAsExpected) {
  std::string printed = ir::print(planOf(GetParam()));
  fs::path golden = kFolder / (std::string(GetParam()) + ".plan");
  if (std::getenv("OPW_UPDATE") != nullptr)
    std::ofstream(golden, std::ios::binary) << printed;
  EXPECT_EQ(printed, readFile(golden)) << "OPW_UPDATE=1 rewrites it";
}

INSTANTIATE_TEST_SUITE_P(Kernels, Plans,
                         testing::Values("vector_add", "softmax", "layer_norm", "attention", "scale_shift"));

TEST(Fusion, VectorAddHasNoBuffer) {
  Facts facts = factsOf(planOf("vector_add"));
  EXPECT_EQ(facts.buffers, 0);
  EXPECT_EQ(facts.laneLoops, 1);
}

TEST(Fusion, QuotientsAndRemaindersOfTheIndexStayInTheLoop) {
  Facts facts = factsOf(planOf("scale_shift"));
  EXPECT_EQ(facts.buffers, 0);
  EXPECT_EQ(facts.laneLoops, 1);
  Facts guarded = factsOf(planOf("scale_shift", false)); // in its twin, loads are copied first
  EXPECT_EQ(guarded.laneLoops, 1);
}

TEST(Fusion, ArgumentsThatMayOverlapAreGuardedOutsideTheLoop) {
  Facts facts = factsOf(planOf("vector_add", false));
  EXPECT_EQ(facts.laneLoops, 1); // the twin that copies first is sequential
  EXPECT_EQ(facts.buffers, 2);
}

TEST(Fusion, SoftmaxKeepsOneRow) {
  Facts facts = factsOf(planOf("softmax"));
  EXPECT_EQ(facts.buffers, 1);
  EXPECT_EQ(facts.elements, 1024);
  EXPECT_EQ(facts.laneLoops, 3);
}

TEST(Fusion, AttentionKeepsItsTiles) {
  Facts facts = factsOf(planOf("attention"));
  EXPECT_EQ(facts.dots, 2);
  // q, k, s, the scaled and masked s, p, v and the accumulator; the rest are rows of statistics.
  EXPECT_LE(facts.elements, 7 * 64 * 64 + 16 * 64);
}

TEST(Fusion, PlansDoNotGrowWithTheBlock) {
  Facts small = factsOf(planOf("softmax")), large = factsOf(planOf("softmax_large"));
  EXPECT_EQ(small.ops, large.ops);
  EXPECT_EQ(small.loops, large.loops);
}

} // namespace
