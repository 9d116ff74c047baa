// Functions on a bounded interval as polynomials on pieces of it: each lane takes its row of a table in the object.
#pragma once

#include "codegen/cpu/math_builder.h"

namespace opw::cpu {

struct Piecewise {
  const char *name;           ///< of the table in the object
  unsigned terms;             ///< coefficients of a piece
  std::vector<double> starts; ///< of the pieces, ascending
  std::vector<double> rows;
};

extern const Piecewise kJ0, kJ1, kY0, kY1; ///< Bessel functions below kBesselFar
extern const Piecewise kLogGamma;          ///< on [1/2, 3]
extern const Piecewise kErfInv;            ///< on [0, 28]

constexpr double kBesselFar = 16.5;

/// In f64. The nearest piece where x is outside.
llvm::Value *evaluate(MathBuilder &m, const Piecewise &table, llvm::Value *x);

} // namespace opw::cpu
