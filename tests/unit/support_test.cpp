#include "support/check.h"
#include "support/diagnostic.h"
#include "support/reader.h"
#include "support/text.h"

#include <gtest/gtest.h>

namespace opw {
namespace {

TEST(Diagnostic, ShowsWhatItKnows) {
  Diagnostic diagnostic;
  diagnostic.message = "found 48, expected a power of two";
  EXPECT_EQ(diagnostic.str(), "error: found 48, expected a power of two");
  diagnostic.where = {"kernel.py", 12, 5};
  diagnostic.op = "tt.splat";
  diagnostic.kernel = "softmax";
  diagnostic.hint = "pad the block";
  EXPECT_EQ(diagnostic.str(),
            "kernel.py:12:5: error: found 48, expected a power of two [tt.splat] in kernel 'softmax'\n"
            "  hint: pad the block");
  diagnostic.where.column = 0;
  diagnostic.severity = Severity::Warning;
  diagnostic.hint.clear();
  EXPECT_EQ(render({diagnostic}),
            "kernel.py:12: warning: found 48, expected a power of two [tt.splat] in kernel 'softmax'\n");
}

TEST(Result, HoldsAValueOrDiagnostics) {
  Result<int> good = 3;
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 3);
  Result<int> bad = Diagnostic{.message = "no"};
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.diagnostics().size(), 1u);
  EXPECT_TRUE(ok());
}

TEST(Check, ThrowsWithItsPlace) {
  OPW_CHECK(true, "fine");
  try {
    OPW_CHECK(1 > 2, "order is lost");
    FAIL();
  } catch (const InternalError &error) {
    EXPECT_NE(std::string(error.what()).find("order is lost (1 > 2)"), std::string::npos);
  }
}

TEST(Text, QuotesAndUnquotes) {
  std::string text = "a \"b\"\n\\c\x01";
  EXPECT_EQ(quote(text), "\"a \\22b\\22\\0A\\\\c\\01\"");
  EXPECT_EQ(unquote(quote(text)), text);
  EXPECT_EQ(unquote("\"tab\\t, quote\\\", end\""), "tab\t, quote\", end");
}

TEST(Text, FindsTheNearestWord) {
  std::vector<std::string_view> words = {"tt.load", "tt.store", "tt.broadcast"};
  EXPECT_EQ(nearest("tt.laod", words), "tt.load");
  EXPECT_EQ(nearest("vector.extract", words), "");
}

TEST(Reader, TokensHavePlaces) {
  std::string text = "%a-1 = tt.load // comment\n  ^bb1(@\"x y\" -> 0x1F, 1.5e-3) #loc2 !tt.ptr<8x0x4xf32> \"s\\\"t\"";
  std::string file = "t";
  TokenReader reader(text, file);
  EXPECT_EQ(reader.take(Token::Kind::Value, "a value"), "a-1");
  reader.expect('=', "");
  EXPECT_EQ(reader.current().text, "tt.load");
  EXPECT_EQ(reader.current().column, 8u);
  reader.advance();
  EXPECT_EQ(reader.current().line, 2u);
  EXPECT_EQ(reader.current().column, 3u);
  EXPECT_EQ(reader.take(Token::Kind::Block, "a block"), "bb1");
  reader.expect('(', "");
  EXPECT_EQ(unquote(reader.take(Token::Kind::Symbol, "a symbol")), "x y");
  reader.expect(Token::Kind::Arrow, "->");
  EXPECT_EQ(reader.takeInteger("a number"), 31);
  reader.expect(',', "");
  EXPECT_EQ(reader.take(Token::Kind::Float, "a float"), "1.5e-3");
  reader.expect(')', "");
  EXPECT_EQ(reader.take(Token::Kind::Hash, "an alias"), "loc2");
  EXPECT_EQ(reader.take(Token::Kind::Bang, "a type"), "tt.ptr");
  reader.expect('<', "");
  uint64_t extent = 0;
  std::vector<uint64_t> extents;
  while (reader.takeDimension(extent))
    extents.push_back(extent);
  EXPECT_EQ(extents, (std::vector<uint64_t>{8, 0, 4}));
  EXPECT_TRUE(reader.acceptWord("f32"));
  reader.expect('>', "");
  EXPECT_EQ(reader.takeString("a string"), "s\"t");
  EXPECT_TRUE(reader.at(Token::Kind::End));
}

TEST(Reader, IntegersKeepTo64Bits) {
  std::string file = "t";
  std::string text = "-9223372036854775808 0xFFFFFFFFFFFFFFFF -9223372036854775809";
  TokenReader reader(text, file);
  EXPECT_EQ(reader.takeInteger("a number"), INT64_MIN);
  EXPECT_EQ(reader.takeInteger("a number"), -1);
  EXPECT_THROW(reader.takeInteger("a number"), SyntaxError);
}

} // namespace
} // namespace opw
