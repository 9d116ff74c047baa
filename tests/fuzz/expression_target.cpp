// Expressions of requests, a line each: what the compiler accepts is a program that the runtime's validation takes too,
// and evaluates; what it refuses has a message at a column of the text.
#include "core/api.h"
#include "library.h"
#include "package/expression.h"

#include <cstdio>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace {

using namespace opw;

[[noreturn]] void stop(const char *why, std::string_view text, const std::string &detail) {
  std::fprintf(stderr, "fuzz_expression: %s: '%.*s': %s\n", why, static_cast<int>(text.size()), text.data(),
               detail.c_str());
  std::abort();
}

/// The names of t::all.
package::Scope scopeOf(const opw_op_t &op) {
  package::Scope scope;
  for (uint16_t i = 0; i < op.input_count; ++i)
    scope.tensors.push_back({op.inputs[i]->name, i, (op.inputs[i]->flags & OPW_IO_VARIADIC) != 0,
                             (op.inputs[i]->flags & OPW_IO_HOST) != 0, 'I'});
  for (uint16_t i = 0; i < op.attr_count; ++i)
    scope.attrs.push_back({op.attrs[i]->name, i, op.attrs[i]->kind});
  for (uint16_t i = 0; i < op.var_count; ++i)
    scope.vars.push_back({"v" + std::to_string(i), i, op.vars[i].is_float == 1});
  return scope;
}

void requirePlace(const Diagnostics &diagnostics, std::string_view text) {
  if (diagnostics.empty() || diagnostics[0].message.empty())
    stop("a refusal without a message", text, "");
  if (diagnostics[0].where.column < 1 || diagnostics[0].where.column > text.size() + 1)
    stop("a column outside of the text", text, diagnostics[0].str());
}

void runLine(std::string_view text, const fuzz::Library &library, const package::Scope &scope) {
  package::Pools pools;
  Result<package::Program> program = package::compileExpression(text, scope, pools, "fuzz");
  Result<package::Segment> segment = package::compileSegment(text, scope, pools, "fuzz");
  if (!segment)
    requirePlace(segment.diagnostics(), text);
  if (!program)
    return requirePlace(program.diagnostics(), text);
  opw_op_t &op = *library.all;
  opw_op_t sound = op;
  pools.integers.push_back(1); // the op's own vars read an entry of both pools
  pools.floats.push_back(1);
  op.pool_i = pools.integers.data();
  op.pool_i_count = static_cast<uint32_t>(pools.integers.size());
  op.pool_f = pools.floats.data();
  op.pool_f_count = static_cast<uint32_t>(pools.floats.size());
  int64_t shape[3] = {4, 0, 7}, count[1] = {2};
  int32_t steps[2] = {3, -1};
  opw_tensor_t x{nullptr, OPW_DEVICE_CPU, 0, 3, 2, 32, 1, shape, nullptr, 0},
      s{steps, OPW_DEVICE_CPU, 0, 1, 0, 32, 1, count, nullptr, 0};
  const opw_tensor_t *inputs[] = {&x, &s, nullptr, &x, &x};
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = inputs;
  call.input_count = 5;
  call.device_type = OPW_DEVICE_CPU;
  opw_program_t view{program->code.data(), static_cast<uint32_t>(program->code.size()), program->isFloat,
                     program->depth, 0};
  char words[256] = "";
  opw_error_t error{sizeof error, OPW_OK, words, sizeof words};
  int64_t value;
  opw_status_t status = runtime::kApi.eval(&op, &view, &call, &value, &error);
  op = sound;
  if (status != OPW_OK && status != OPW_E_OVERFLOW)
    stop("a program that the runtime refuses", text, words);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const fuzz::Library library;
  static const package::Scope scope = scopeOf(*library.all);
  std::string_view text(reinterpret_cast<const char *>(data), size);
  for (int line = 0; line < 16 && !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    runLine(text.substr(0, end), library, scope);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return 0;
}
