// plan.dot against f64, for many shapes and every form of the start value.
#include "codegen_harness.h"

#include <cmath>

using namespace opw::test;

namespace {

class CodegenDot : public Codegen {};

struct DotCase {
  int64_t rows, lanes, depth, panel, aRow, aCol, cRow;
};

TEST_P(CodegenDot, MatchesF64) {
  const DotCase cases[] = {
      {64, 64, 64, 32, 64, 1, 64}, {16, 64, 32, 64, 48, 1, 80}, {8, 32, 16, 32, 16, 1, 32},
      {4, 64, 16, 64, 16, 1, 64},  {2, 64, 7, 64, 7, 1, 64},    {1, 128, 16, 64, 16, 1, 128},
      {32, 16, 16, 16, 16, 1, 16}, {16, 8, 16, 8, 16, 1, 8},    {16, 4, 16, 4, 16, 1, 4},
      {8, 2, 3, 2, 3, 1, 2},       {4, 1, 5, 1, 5, 1, 1},       {16, 32, 16, 16, 1, 16, 32},
      {128, 32, 1, 32, 1, 1, 32},  {1, 1, 1, 1, 1, 1, 1},
  };
  for (const DotCase &t : cases)
    for (const char *init : {"zero", "load", "scale_rows", "scale_lanes"}) {
      bool scaled = init[0] == 's', byRows = std::string(init) == "scale_rows";
      Plan p;
      ValueId c = p.pointer(Elem::F32), a = p.pointer(Elem::F32), b = p.pointer(Elem::F32), s = p.pointer(Elem::F32);
      Attributes attributes;
      auto set = [&](const char *key, int64_t value) { attributes.set(key, Attribute::integerOf(value)); };
      set("rows", t.rows), set("lanes", t.lanes), set("depth", t.depth), set("panel", t.panel);
      set("a_row", t.aRow), set("a_col", t.aCol), set("c_row", t.cRow);
      attributes.set("init", Attribute::keyword(init));
      std::vector<ValueId> operands{c, a, b};
      if (scaled)
        operands.push_back(s);
      p.b.create(OpKind::PlanDot, operands, {}, attributes);
      Kernel kernel(p, GetParam());
      Guarded<float> C((t.rows - 1) * t.cRow + t.lanes), A((t.rows - 1) * t.aRow + (t.depth - 1) * t.aCol + 1),
          B(t.depth * t.lanes), S(byRows ? t.rows : t.lanes);
      auto fill = [](Guarded<float> &values, int seed) {
        for (float &x : values)
          x = float((&x - values.data()) * seed % 23) / 8 - 1;
      };
      fill(C, 7), fill(A, 5), fill(B, 11), fill(S, 3);
      std::vector<double> expected;
      for (int64_t r = 0; r < t.rows; r++)
        for (int64_t l = 0; l < t.lanes; l++) {
          double sum = init[0] == 'z' ? 0 : C[r * t.cRow + l];
          if (scaled)
            sum *= S[byRows ? r : l];
          for (int64_t k = 0; k < t.depth; k++)
            sum += double(A[r * t.aRow + k * t.aCol]) * B[l / t.panel * t.depth * t.panel + k * t.panel + l % t.panel];
          expected.push_back(sum);
        }
      kernel.run(1, C.data(), A.data(), B.data(), S.data());
      for (int64_t r = 0; r < t.rows; r++)
        for (int64_t l = 0; l < t.lanes; l++)
          ASSERT_NEAR(C[r * t.cRow + l], expected[r * t.lanes + l], 1e-4)
              << t.rows << "x" << t.lanes << "x" << t.depth << " " << init << " at " << r << "," << l;
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, CodegenDot, testing::ValuesIn(levels()), levelName);

} // namespace
