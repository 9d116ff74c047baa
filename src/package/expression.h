// The one compiler of expressions: infix text -> postfix program of plugin.h. parse -> type -> fold -> emit.
//
//   or, and, not | == != < <= > >= (no chains) | + - | * // % / /// | - (unary) | x.0  x.-1  pads[2]  calls  ( )
//   c ? a : b and "a if c else b"; && || ! as in C; cdiv min max abs select npow2; integers and floats (an integer
//   becomes a float where it meets one). `/` is floor division of integers as in PluginGen, and division of floats;
//   `///` is cdiv. Tensors: x.0 (a size; of a variadic xs[1].0), dim(x, i), rank(x), numel(x), stride(x, 0),
//   itemsize(x), present(x), value(x, 0), and of a variadic one count(x), sumdim(x, 0). Lists: pads[i], len(pads).
//   floor ceil round sqrt float.
#pragma once

#include "opwright/plugin.h"
#include "support/diagnostic.h"

#include <string>
#include <string_view>
#include <vector>

namespace opw::package {

/// The names that an expression may use.
struct Scope {
  struct Tensor {
    std::string name;
    uint16_t number = 0;
    bool variadic = false, host = false;
    char valueKind = 0; ///< of a host input: 'I' or 'F', 0 where combinations differ
  };
  struct Attr {
    std::string name;
    uint16_t index = 0;
    uint32_t kind = OPW_ATTR_NONE;
  };
  struct Named {
    std::string name;
    uint16_t index = 0;
    bool isFloat = false;
  };
  std::vector<Tensor> tensors;
  std::vector<Attr> attrs;
  std::vector<Named> vars;
  std::vector<Named> sizes; ///< data-dependent sizes
};

/// Constants of an op that do not fit into an instruction.
struct Pools {
  std::vector<int64_t> integers;
  std::vector<double> floats;
};

struct Program {
  std::vector<opw_insn_t> code;
  bool isFloat = false;
  uint8_t depth = 0;
};

/// One segment of a shape: a program, a slice of a tensor, a list attribute or the values of a host input.
struct Segment {
  uint32_t kind = OPW_SEG_DIM;
  uint32_t index = 0;
  int32_t from = 0, to = INT32_MAX;
  Program dim;
};

/// `what` names the expression in diagnostics: "grid x of ns::name".
Result<Program> compileExpression(std::string_view text, const Scope &scope, Pools &pools, const std::string &what);

/// The same; a float is refused.
Result<Program> compileInteger(std::string_view text, const Scope &scope, Pools &pools, const std::string &what);

/// "x[1:]", "pads" (a list of integers), "values(x)", or an integer expression.
Result<Segment> compileSegment(std::string_view text, const Scope &scope, Pools &pools, const std::string &what);

} // namespace opw::package
