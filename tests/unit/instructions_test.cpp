// The instruction set of programs, read from plugin.h, against every table and switch that has to know all of it: a new
// instruction fails here until each of them does. Python's table of them is held by test_programs.py.
#include "core/arithmetic.h"
#include "core/instructions.h"
#include "core/interval.h"
#include "package/c_text.h"
#include "package/expression_tree.h"

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace opw {
namespace {

using namespace runtime;

const std::map<uint8_t, std::string> &instructions() {
  static const std::map<uint8_t, std::string> all = [] {
    std::map<uint8_t, std::string> found;
    std::ifstream header(OPW_TEST_DATA "/../include/opwright/plugin.h");
    const std::regex pattern("^  OPW_X_(\\w+) = (\\d+)");
    for (std::string line; std::getline(header, line);)
      if (std::smatch match; std::regex_search(line, match, pattern))
        found[static_cast<uint8_t>(std::stoi(match[2]))] = match[1];
    return found;
  }();
  return all;
}

std::vector<uint8_t> groupOf(bool (*belongs)(uint8_t)) {
  std::vector<uint8_t> group;
  for (const auto &[op, name] : instructions())
    if (belongs(op))
      group.push_back(op);
  return group;
}

TEST(Instructions, TheTableHasThoseOfTheHeader) {
  ASSERT_GE(instructions().size(), 53u);
  for (uint32_t op = 0; op < 256; ++op) {
    const char *name = insnInfo(static_cast<uint8_t>(op)).name;
    auto known = instructions().find(static_cast<uint8_t>(op));
    EXPECT_EQ(name ? name : "", known == instructions().end() ? "" : known->second) << op;
  }
}

TEST(Instructions, SourcesHaveTheirNames) {
  for (const auto &[op, name] : instructions())
    EXPECT_EQ(package::c::enumerator(package::c::Family::Operation, op), "OPW_X_" + name);
}

TEST(Instructions, EachIsInTheGroupThatTheTableSays) {
  for (const auto &[op, name] : instructions()) {
    SCOPED_TRACE(name);
    const InsnInfo &info = insnInfo(op);
    const std::string pops = info.pops;
    const bool leaf = info.operand != Operand::None;
    EXPECT_EQ(isLeaf(op), leaf);
    EXPECT_EQ(popsIndex(op), leaf && pops == "I");
    EXPECT_EQ(isBinaryInt(op), pops == "II");
    EXPECT_EQ(isUnaryInt(op), !leaf && pops == "I" && info.pushes == 'I');
    EXPECT_EQ(isFloatBinary(op), pops == "FF");
    EXPECT_EQ(isFloatUnary(op), pops == "F" || (!leaf && pops == "I" && info.pushes == 'F'));
    EXPECT_EQ(isLeaf(op) + isBinaryInt(op) + isUnaryInt(op) + isFloatBinary(op) + isFloatUnary(op), op != OPW_X_SELECT);
  }
}

// ---- what they compute

constexpr int64_t kIntegers[] = {0, 1, 2, 3, 7, 12, 64, -1, -2, -5, -64, int64_t{1} << 40, -(int64_t{1} << 40)};
constexpr double kNumbers[] = {0.5, 1, 2, 2.5, 3.75, 100, -0.5, -1, -2.25, 1e10};

/// The bits of a result, or "none".
std::string shown(PoisonCode code, Slot value) { return code == kFine ? std::to_string(value.i) : "none"; }

/// The results of an instruction on all samples.
std::string resultsOf(uint8_t op) {
  std::string all;
  auto add = [&](PoisonCode code, Slot r) { all += shown(code, r) + " "; };
  Slot r{};
  if (isBinaryInt(op))
    for (int64_t a : kIntegers)
      for (int64_t b : kIntegers)
        add(binary(op, a, b, &r.i), r);
  if (isUnaryInt(op))
    for (int64_t a : kIntegers)
      add(unary(op, a, &r.i), r);
  if (isFloatBinary(op))
    for (double a : kNumbers)
      for (double b : kNumbers)
        add(floatBinary(op, {.f = a}, {.f = b}, &r), r);
  if (isFloatUnary(op))
    for (double a : kNumbers)
      add(floatUnary(op, op == OPW_X_I2F ? Slot{.i = static_cast<int64_t>(a)} : Slot{.f = a}, &r), r);
  return all;
}

TEST(Instructions, EachComputesSomethingOfItsOwn) {
  std::set<std::string> seen;
  for (const auto &[op, name] : instructions())
    if (!isLeaf(op) && op != OPW_X_SELECT) {
      EXPECT_TRUE(seen.insert(resultsOf(op)).second) << name;
      EXPECT_NE(resultsOf(op).find_first_not_of("none "), std::string::npos) << name;
    }
}

/// Of points an interval is the point, so one that falls into another instruction's case is found.
TEST(Instructions, IntervalsOfPointsArePoints) {
  auto expectPoint = [](uint8_t op, const Interval &found, PoisonCode code, Slot r) {
    if (code != kFine)
      return;
    bool isFloat = insnInfo(op).pushes == 'F';
    EXPECT_FALSE(found.none || found.nan) << instructions().at(op);
    EXPECT_TRUE(isFloat ? found.lo.f == r.f && found.hi.f == r.f : found.lo.i == r.i && found.hi.i == r.i)
        << instructions().at(op);
  };
  Slot r{};
  for (int64_t a : kIntegers) {
    for (uint8_t op : groupOf(isUnaryInt)) {
      PoisonCode code = unary(op, a, &r.i);
      expectPoint(op, intervalOf(op, integers(a, a)), code, r);
    }
    floatUnary(OPW_X_I2F, {.i = a}, &r);
    expectPoint(OPW_X_I2F, intervalOf(OPW_X_I2F, integers(a, a)), kFine, r);
    for (int64_t b : kIntegers)
      for (uint8_t op : groupOf(isBinaryInt)) {
        PoisonCode code = binary(op, a, b, &r.i);
        expectPoint(op, intervalOf(op, integers(a, a), integers(b, b)), code, r);
      }
  }
  for (double a : kNumbers) {
    for (uint8_t op : groupOf(isFloatUnary))
      if (op != OPW_X_I2F && (op != OPW_X_FSQRT || a > 0)) {
        PoisonCode code = floatUnary(op, {.f = a}, &r);
        expectPoint(op, intervalOf(op, floats(a, a)), code, r);
      }
    for (double b : kNumbers)
      for (uint8_t op : groupOf(isFloatBinary)) {
        PoisonCode code = floatBinary(op, {.f = a}, {.f = b}, &r);
        expectPoint(op, intervalOf(op, floats(a, a), floats(b, b)), code, r);
      }
  }
}

/// An instruction with constant operands, folded.
package::NodePtr folded(uint8_t op, const std::vector<Slot> &operands, bool floats) {
  auto node = std::make_unique<package::Node>();
  node->op = op;
  for (Slot value : operands) {
    auto child = std::make_unique<package::Node>();
    child->op = floats ? OPW_X_FPOOL : OPW_X_INT;
    child->isFloat = floats;
    if (floats)
      child->number = value.f;
    else
      child->integer = value.i;
    node->children.push_back(std::move(child));
  }
  package::foldExpression(node);
  return node;
}

TEST(Instructions, IntegersFoldAsTheyRun) {
  auto expectFolded = [](const package::Node &found, uint8_t op, PoisonCode code, int64_t r) {
    const std::string &what = instructions().at(op);
    if (code != kFine)
      EXPECT_EQ(found.op, op) << what; // poison at run time
    else
      EXPECT_TRUE(found.op == OPW_X_INT && found.integer == r) << what;
  };
  int64_t r = 0;
  for (int64_t a : kIntegers) {
    for (uint8_t op : groupOf(isUnaryInt)) {
      PoisonCode code = unary(op, a, &r);
      expectFolded(*folded(op, {{.i = a}}, false), op, code, r);
    }
    for (int64_t b : kIntegers)
      for (uint8_t op : groupOf(isBinaryInt)) {
        PoisonCode code = binary(op, a, b, &r);
        expectFolded(*folded(op, {{.i = a}, {.i = b}}, false), op, code, r);
      }
  }
}

TEST(Instructions, FloatsFoldAsTheyRunOrNotAtAll) {
  std::set<std::string> fold;
  auto expectSame = [&](const package::Node &found, uint8_t op, PoisonCode code, Slot r) {
    if (found.op == op)
      return;
    fold.insert(instructions().at(op));
    EXPECT_TRUE(code == kFine && found.op == OPW_X_FPOOL && std::memcmp(&found.number, &r.f, sizeof r) == 0)
        << instructions().at(op);
  };
  Slot r{};
  for (double a : kNumbers) {
    for (uint8_t op : groupOf(isFloatUnary))
      if (op != OPW_X_I2F) {
        PoisonCode code = floatUnary(op, {.f = a}, &r);
        expectSame(*folded(op, {{.f = a}}, true), op, code, r);
      }
    for (double b : kNumbers)
      for (uint8_t op : groupOf(isFloatBinary)) {
        PoisonCode code = floatBinary(op, {.f = a}, {.f = b}, &r);
        expectSame(*folded(op, {{.f = a}, {.f = b}}, true), op, code, r);
      }
  }
  for (int64_t a : kIntegers) {
    PoisonCode code = floatUnary(OPW_X_I2F, {.i = a}, &r);
    expectSame(*folded(OPW_X_I2F, {{.i = a}}, false), OPW_X_I2F, code, r);
  }
  EXPECT_EQ(fold, (std::set<std::string>{"I2F", "FNEG", "FADD", "FSUB", "FMUL", "FDIVF"}));
}

} // namespace
} // namespace opw
