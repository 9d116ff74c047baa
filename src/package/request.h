// A build request as a struct: what request.json says (docs/abi.md), without the JSON. Programs are infix texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace opw::package {

/// What the launch gives to one argument of a kernel, and how the kernel takes it. "pointer", "scalar" or "dropped".
struct ParamRequest {
  std::string kind;
  std::string dtype; ///< of a scalar
};

/// One variant of a kernel: its TTIR, and how its arguments follow from those of the launch.
struct KernelRequest {
  std::string id;
  std::string name;
  std::string file; ///< of the Triton source, for messages
  uint32_t line = 0;
  std::string ttir;   ///< file in the workspace
  std::string sha256; ///< of that file; empty = not checked
  std::vector<ParamRequest> params;
};

/// A tensor that lies in the library, for kernels to read.
struct ConstantRequest {
  std::string id, dtype;
  std::vector<int64_t> shape;
  std::string file;   ///< in the workspace: its elements, row-major
  std::string sha256; ///< of that file; empty = not checked
};

struct TypevarRequest {
  std::string name;
  std::vector<std::string> types;
};

struct IoRequest {
  std::string name, doc;
  std::string type; ///< a typevar, or an element type
  uint32_t rankMin = 0, rankMax = 16;
  uint32_t align = 0;
  uint32_t variadicMin = 0;
  bool optional = false, variadic = false, host = false, strided = false;
  bool size = false, compact = false, inplace = false; ///< outputs only
  std::string alias;                                   ///< outputs: an input
  std::vector<std::string> shape;                      ///< outputs: sizes, or slices of an input such as "x[1:]"
};

using AttrDefault = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>,
                                 std::vector<double>, std::vector<std::string>>;

struct AttrRequest {
  std::string name, doc;
  std::string kind;     ///< "int", "float", "bool", "string", "bytes", "ints", ..., "strings", "enum", "dtype"
  AttrDefault fallback; ///< of bytes, their numbers
  std::vector<std::string> choices;
  uint32_t listLength = 0;
};

struct VariantRequest {
  std::vector<std::string> guards; ///< "arg 0..4 % 16 == 0", "arg 3 == 1", "arg 3 >= 4", "arg 3 <= 4", "arg 2 null"
  std::string kernel;
  std::string when;
  std::string reason;
};

struct LaunchRequest {
  std::vector<std::string> grid;
  std::vector<std::string> args; ///< "ptr x", "const c", "stride x.0", "attr a", "var v", "null", or an expression
  std::vector<VariantRequest> variants;
  std::string when;
  uint32_t phase = 0;
  std::string fill; ///< a tensor to be filled with fillByte instead of a kernel
  uint32_t fillByte = 0;
};

struct WorkspaceRequest {
  std::string name, dtype, elements, upper;
  uint32_t align = 0;
};

struct PlanRequest {
  uint32_t combo = 0;
  std::string device = "cpu";
  int32_t tactic = 1;
  std::string valid, validText; ///< as an op's: which of the calls that the op takes this plan takes; empty = all
  std::vector<WorkspaceRequest> workspace;
  std::vector<LaunchRequest> launches;
};

struct SizeRequest {
  std::string name, output, upper, typical;
};

struct TacticRequest {
  int32_t id = 1;
  std::string text;
};

struct OpRequest {
  std::string ns; ///< empty = the library's
  std::string name, doc;
  int32_t version = 1;
  std::vector<TypevarRequest> typevars;
  std::vector<IoRequest> inputs, outputs;
  std::vector<AttrRequest> attrs;
  std::vector<std::pair<std::string, std::string>> vars; ///< name, expression
  std::string valid, validText;
  std::vector<std::vector<std::string>> combos; ///< one element type per typevar; empty = the only one there is
  std::vector<TacticRequest> tactics;           ///< empty = one without a name
  std::vector<SizeRequest> sizes;
  std::vector<PlanRequest> plans;
  std::string flops, bytes, extra;
};

struct Request {
  std::string library; ///< file name of the result
  std::string ns;      ///< namespace of ops that say none
  std::vector<std::string> faces{"c"};
  std::vector<std::string> cpuLevels;
  std::vector<KernelRequest> kernels;
  std::vector<ConstantRequest> constants;
  std::vector<OpRequest> ops;
};

/// One compiled kernel for one CPU level.
struct KernelObject {
  std::string kernel; ///< id of its KernelRequest
  std::string level;
  std::string object;     ///< ELF relocatable
  std::string entry;      ///< its symbol
  std::string assembly{}; ///< its text, where sources are wanted
  uint64_t scratchBytes = 0;
  int64_t grain = 1;
  bool ordered = false;
  struct Param {
    bool pointer = false;
    uint8_t dtype = 0; ///< OPW_*; of a pointer that of what it points to
  };
  std::vector<Param> params; ///< of the kernel: what is dropped is not here
};

} // namespace opw::package
