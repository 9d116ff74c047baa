// Expressions: what is accepted, what each refusal says and where. Values are compared with Python's in tests/python.
#include "package/expression.h"

#include <gtest/gtest.h>
#include <map>

namespace opw::package {
namespace {

Scope sample() {
  Scope s;
  s.tensors = {{"x", 0, false, false, 0}, {"steps", 1, false, true, 'I'}, {"xs", 2, true, false, 0}};
  s.attrs = {{"axis", 0, OPW_ATTR_INT},
             {"scale", 1, OPW_ATTR_FLOAT},
             {"pads", 2, OPW_ATTR_INTS},
             {"mode", 3, OPW_ATTR_STRING},
             {"data", 4, OPW_ATTR_BYTES}};
  s.vars = {{"n", 0, false}, {"f", 1, true}};
  return s;
}

std::string code(const std::string &text) {
  static const std::map<int, std::string> kNames{
      {OPW_X_INT, "INT"},     {OPW_X_POOL, "POOL"},   {OPW_X_DIM, "DIM"},         {OPW_X_NUMEL, "NUMEL"},
      {OPW_X_VAR, "VAR"},     {OPW_X_ATTR, "ATTR"},   {OPW_X_ATTR_AT, "ATTR_AT"}, {OPW_X_ADD, "ADD"},
      {OPW_X_SUB, "SUB"},     {OPW_X_MUL, "MUL"},     {OPW_X_FDIV, "FDIV"},       {OPW_X_CDIV, "CDIV"},
      {OPW_X_MIN, "MIN"},     {OPW_X_LT, "LT"},       {OPW_X_LE, "LE"},           {OPW_X_AND, "AND"},
      {OPW_X_NOT, "NOT"},     {OPW_X_NEG, "NEG"},     {OPW_X_SELECT, "SELECT"},   {OPW_X_EQ, "EQ"},
      {OPW_X_I2F, "I2F"},     {OPW_X_FATTR, "FATTR"}, {OPW_X_FMUL, "FMUL"},       {OPW_X_CEIL, "CEIL"},
      {OPW_X_FPOOL, "FPOOL"}, {OPW_X_VALUE, "VALUE"}, {OPW_X_DIM_AT, "DIM_AT"},   {OPW_X_COUNT, "COUNT"}};
  Pools pools;
  Result<Program> p = compileExpression(text, sample(), pools, "test");
  if (!p)
    return p.diagnostics()[0].str();
  std::string out;
  for (const opw_insn_t &i : p->code) {
    auto it = kNames.find(i.op);
    out += (out.empty() ? "" : " | ") + (it == kNames.end() ? std::to_string(i.op) : it->second);
    if (i.b != 0)
      out += " " + std::to_string(i.b);
    if (i.imm != 0)
      out += "," + std::to_string(i.imm);
  }
  return out;
}

TEST(Expression, PrecedenceAndImmediates) {
  EXPECT_EQ(code("n + 127 // 128"), "VAR | ADD 1");
  EXPECT_EQ(code("(n + 127) // 128"), "VAR | ADD 1,127 | FDIV 1,128");
  EXPECT_EQ(code("cdiv(n, 128)"), "VAR | CDIV 1,128");
  EXPECT_EQ(code("x.0 * axis + x.-1"), "DIM | ATTR | MUL | DIM,-1 | ADD");
  EXPECT_EQ(code("2 * n"), "INT,2 | VAR | MUL");
  EXPECT_EQ(code("n - 1 - 1"), "VAR | SUB 1,1 | SUB 1,1");
  EXPECT_EQ(code("-n * 2"), "VAR | NEG | MUL 1,2");
  EXPECT_EQ(code("not n == 1 and n < 5"), "VAR | EQ 1,1 | NOT | VAR | LT 1,5 | AND");
  EXPECT_EQ(code("n > 5"), "INT,5 | VAR | LT");
  EXPECT_EQ(code("pads[2] + pads[n]"), "INT,2 | ATTR_AT 2 | VAR | ATTR_AT 2 | ADD");
  EXPECT_EQ(code("data[0] + len(data)"), "INT | ATTR_AT 4 | 13 4 | ADD");
  EXPECT_EQ(code("dim(x, 1) + dim(x, n)"), "DIM,1 | VAR | DIM_AT | ADD");
  EXPECT_EQ(code("value(steps, 0) + count(xs)"), "VALUE 1 | COUNT 2 | ADD");
  EXPECT_EQ(code("1 if n else 2"), "VAR | INT,1 | INT,2 | SELECT");
  EXPECT_EQ(code("n ? 1 : 2"), "VAR | INT,1 | INT,2 | SELECT");
  EXPECT_EQ(code("n / 2 + n /// 2"), "VAR | FDIV 1,2 | VAR | CDIV 1,2 | ADD");
}

TEST(Expression, Folds) {
  EXPECT_EQ(code("2 + 3 * 4"), "INT,14");
  EXPECT_EQ(code("select(1 < 2, n, 1 // 0)"), "VAR");
  EXPECT_EQ(code("4294967296 * 2"), "POOL");
  EXPECT_EQ(code("-9223372036854775808 < n"), "POOL | VAR | LT");
  EXPECT_EQ(code("-2147483648 - 9223372036854775808 // 2"),
            "test:1:15: error: found 9223372036854775808, expected an integer below 2^63, in "
            "'-2147483648 - 9223372036854775808 // 2'");
  EXPECT_EQ(code("1 // 0"), "INT,1 | FDIV 1"); // poison at run time
}

TEST(Expression, IntegersMeetFloats) {
  EXPECT_EQ(code("ceil(n * scale)"), "VAR | I2F | FATTR 1 | FMUL | CEIL");
  EXPECT_EQ(code("f * 2"), "VAR 1 | FPOOL | FMUL");
}

TEST(Expression, RefusalsPointAtTheirColumn) {
  EXPECT_EQ(code("n + m"),
            "test:1:5: error: found the unknown name 'm', in 'n + m'\n  hint: known here: x, steps, xs, axis, scale, "
            "pads, mode, data, n, f");
  EXPECT_EQ(code("n +"), "test:1:4: error: found the end, expected a number, a name or '(', in 'n +'");
  EXPECT_EQ(code(""), "test:1:1: error: found the end, expected a number, a name or '(', in ''");
  EXPECT_EQ(code("n n"), "test:1:3: error: found 'n', expected an operator or the end, in 'n n'");
  EXPECT_EQ(code("(n"), "test:1:3: error: found the end, expected ')', in '(n'");
  EXPECT_EQ(code("x + 1"),
            "test:1:1: error: found the tensor 'x', expected a number, in 'x + 1'\n  hint: write x.0 for its first "
            "size, or numel(x)");
  EXPECT_EQ(code("x.16"), "test:1:3: error: found '16', expected an axis from -16 to 15, in 'x.16'");
  EXPECT_EQ(
      code("1 < n < 3"),
      "test:1:7: error: found a chain of comparisons, expected one, in '1 < n < 3'\n  hint: write 'a < b and b < c'");
  EXPECT_EQ(code("pads"),
            "test:1:1: error: found the list 'pads', expected a number, in 'pads'\n  hint: write pads[0]");
  EXPECT_EQ(code("mode"), "test:1:1: error: found attribute 'mode', which is no number, in 'mode'");
  EXPECT_EQ(code("cdiv(n)"), "test:1:1: error: found 1 operands of cdiv, expected 2, in 'cdiv(n)'");
  EXPECT_EQ(code("9223372036854775808"),
            "test:1:1: error: found 9223372036854775808, expected an integer below 2^63, in '9223372036854775808'");
  EXPECT_EQ(code("12abc"), "test:1:3: error: found 'abc' right behind a number, expected an operator, in '12abc'");
  EXPECT_EQ(code("scale % 2"),
            "test:1:7: error: found '%' of a float, expected integers, in 'scale % 2'\n  hint: floor(), ceil() or "
            "round() makes one");
  EXPECT_EQ(code("pads[scale]"),
            "test:1:6: error: found a float, expected an integer, in 'pads[scale]'\n  hint: floor(), ceil() or "
            "round() makes one");
  EXPECT_EQ(code("count(x)"), "test:1:7: error: found 'x', expected a variadic tensor, in 'count(x)'");
  EXPECT_EQ(code("value(x, 0)"), "test:1:1: error: found value(x), expected a host input, in 'value(x, 0)'");
  EXPECT_NE(code(std::string(200, '(') + "n").find("nested too deeply"), std::string::npos);
  EXPECT_NE(code(std::string(5000, '-') + "n").find("nested too deeply"), std::string::npos);
  EXPECT_NE(code("foo(n)").find("found a call of 'foo'"), std::string::npos);
}

TEST(Expression, LongOnesAreRefusedNotCut) {
  std::string deep = "n", wide = "n";
  for (int i = 0; i < 40; ++i)
    deep = "(n * n + " + deep + ")";
  EXPECT_NE(code(deep).find("values at a time, expected at most 32"), std::string::npos);
  for (int i = 0; i < 5000; ++i)
    wide += " + n";
  EXPECT_NE(code(wide).find("the expression has more than 4096 operations"), std::string::npos);
}

TEST(Segment, SlicesListsAndSizes) {
  Pools pools;
  auto segment = [&](const std::string &text) { return compileSegment(text, sample(), pools, "shape"); };
  Result<Segment> s = segment("x[1:]");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->kind, static_cast<uint32_t>(OPW_SEG_SLICE));
  EXPECT_EQ(s->from, 1);
  EXPECT_EQ(s->to, INT32_MAX);
  s = segment("x[0:-2]");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->to, -2);
  s = segment("pads");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->kind, static_cast<uint32_t>(OPW_SEG_ATTR));
  s = segment("values(steps)");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->kind, static_cast<uint32_t>(OPW_SEG_VALUES));
  s = segment("pads[0] + x.0");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->kind, static_cast<uint32_t>(OPW_SEG_DIM));
  s = segment("y[1:]");
  ASSERT_FALSE(s);
  EXPECT_EQ(s.diagnostics()[0].str(), "shape:1:1: error: found a slice of 'y', expected an input, in 'y[1:]'");
  s = segment("x[a:]");
  ASSERT_FALSE(s);
  EXPECT_EQ(s.diagnostics()[0].str(), "shape:1:3: error: found 'a', expected an axis, in 'x[a:]'");
  EXPECT_FALSE(segment("scale"));
}

} // namespace
} // namespace opw::package
