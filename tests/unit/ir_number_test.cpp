#include "ir/number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

namespace opw::ir {
namespace {

constexpr Elem kNarrow[] = {Elem::F8E4M3FN, Elem::F8E5M2, Elem::F8E4M3FNUZ, Elem::F8E5M2FNUZ, Elem::F16, Elem::BF16};

TEST(Number, EveryNarrowValueGoesThroughDoubleAndText) {
  for (Elem elem : kNarrow) {
    for (uint64_t bits = 0; bits < uint64_t{1} << bitWidth(elem); ++bits) {
      double value = decodeFloat(bits, elem);
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(decodeFloat(encodeFloat(value, elem), elem)));
        continue;
      }
      ASSERT_EQ(encodeFloat(value, elem), bits) << name(elem) << " " << bits;
      if (std::isinf(value))
        continue;
      uint64_t again = 0;
      ASSERT_TRUE(parseFloat(floatText(bits, elem), elem, again));
      ASSERT_EQ(again, bits) << name(elem) << " " << floatText(bits, elem);
    }
  }
}

TEST(Number, EncodingRoundsToNearestEven) {
  // Between two neighbours: below, at and above the middle.
  for (Elem elem : kNarrow) {
    uint64_t largest = elem == Elem::F8E4M3FN ? 0x7e : bitWidth(elem) == 8 && elem != Elem::F8E5M2 ? 0x7f : 0;
    if (largest == 0)
      largest = encodeFloat(INFINITY, elem) - 1;
    for (uint64_t bits = 0; bits < largest; ++bits) {
      double low = decodeFloat(bits, elem), high = decodeFloat(bits + 1, elem);
      double middle = (low + high) / 2;
      EXPECT_EQ(encodeFloat(middle, elem), bits + (bits & 1));
      EXPECT_EQ(encodeFloat(std::nextafter(middle, low), elem), bits);
      EXPECT_EQ(encodeFloat(std::nextafter(middle, high), elem), bits + 1);
    }
  }
}

TEST(Number, WhatIsTooLargeBecomesInfinityOrNan) {
  EXPECT_EQ(encodeFloat(65519.0, Elem::F16), 0x7bffu);
  EXPECT_EQ(encodeFloat(65520.0, Elem::F16), 0x7c00u);
  EXPECT_EQ(encodeFloat(-1e30, Elem::F16), 0xfc00u);
  EXPECT_EQ(encodeFloat(448.0, Elem::F8E4M3FN), 0x7eu);
  EXPECT_EQ(encodeFloat(1000.0, Elem::F8E4M3FN), 0x7fu);
  EXPECT_EQ(encodeFloat(1000.0, Elem::F8E4M3FNUZ), 0x80u);
  EXPECT_EQ(encodeFloat(-0.0, Elem::F8E4M3FNUZ), 0u);
  EXPECT_EQ(encodeFloat(-0.0, Elem::F16), 0x8000u);
}

TEST(Number, F32TextRoundTrips) {
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    uint32_t bits = random();
    if (!std::isfinite(std::bit_cast<float>(bits)))
      continue;
    uint64_t again = 0;
    ASSERT_TRUE(parseFloat(floatText(bits, Elem::F32), Elem::F32, again));
    ASSERT_EQ(again, bits);
    ASSERT_EQ(encodeFloat(static_cast<double>(std::bit_cast<float>(bits)), Elem::F32), bits);
  }
}

TEST(Number, DecimalTextRoundsOnce) {
  uint64_t bits = 0;
  ASSERT_TRUE(parseFloat("1.44269502", Elem::F32, bits));
  EXPECT_EQ(bits, std::bit_cast<uint32_t>(1.44269502f));
  // 1 + 2^-24 is halfway between two floats; a digit far behind decides, which a double alone no longer shows.
  ASSERT_TRUE(parseFloat("1.000000059604644775390625", Elem::F32, bits));
  EXPECT_EQ(bits, 0x3f800000u);
  ASSERT_TRUE(parseFloat("1.00000005960464477539062500000000000000001", Elem::F32, bits));
  EXPECT_EQ(bits, 0x3f800001u);
  ASSERT_TRUE(parseFloat("-1.00000017881393432617187499999999999999999", Elem::F32, bits));
  EXPECT_EQ(bits, 0xbf800001u);
  ASSERT_TRUE(parseFloat("100000005.960464477539062500000000000000001e-8", Elem::F32, bits));
  EXPECT_EQ(bits, 0x3f800001u);
  ASSERT_TRUE(parseFloat("1e400", Elem::F32, bits));
  EXPECT_EQ(bits, 0x7f800000u);
  ASSERT_TRUE(parseFloat("1e-400", Elem::F16, bits));
  EXPECT_EQ(bits, 0u);
  EXPECT_FALSE(parseFloat("1.5x", Elem::F32, bits));
  EXPECT_FALSE(parseFloat("--1", Elem::F32, bits));
}

TEST(Number, SpecialValuesPrintAsBits) {
  EXPECT_EQ(floatText(0x7f800000, Elem::F32), "0x7F800000");
  EXPECT_EQ(floatText(0x7fc0, Elem::BF16), "0x7FC0");
  EXPECT_EQ(floatText(0x3f800000, Elem::F32), "1.0");
}

TEST(Number, IntegersWrapToTheirWidth) {
  EXPECT_EQ(wrapInteger(255, Elem::I8), -1);
  EXPECT_EQ(wrapInteger(-1, Elem::I1), 1);
  EXPECT_EQ(wrapInteger(8, Elem::I4), -8);
  EXPECT_EQ(wrapInteger(INT64_MIN, Elem::I64), INT64_MIN);
}

} // namespace
} // namespace opw::ir
