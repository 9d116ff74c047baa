// The story of a compilation. Each stage takes the product of the one before it and leaves an invariant.
#include "driver/compile.h"

#include "codegen/cpu/emit.h"
#include "codegen/cpu/level.h"
#include "frontend/ttir/parse.h"
#include "ir/verify.h"
#include "passes/choose_program_order.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"
#include "passes/order_sensitive.h"
#include "support/check.h"

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>

namespace opw::driver {

namespace {

/// Times and dumps the stages. A stage's product is written as NN_<stage>.ir where dumps are wanted.
class Stages {
public:
  Stages(const CompileOptions &options, CompiledKernel &kernel) : options(options), kernel(kernel) {}

  template <typename Stage> auto run(const char *name, Stage &&stage) {
    auto start = std::chrono::steady_clock::now();
    auto product = stage();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    kernel.times.emplace_back(name, took.count());
    return product;
  }

  void dump(const char *name, const std::string &text) {
    if (options.dumpDir.empty())
      return;
    std::error_code ignored;
    std::filesystem::create_directories(options.dumpDir, ignored);
    std::string number = std::to_string(++count);
    std::ofstream(options.dumpDir + "/" + (count < 10 ? "0" : "") + number + "_" + name) << text;
  }

private:
  const CompileOptions &options;
  CompiledKernel &kernel;
  int count = 0;
};

/// The order that was asked for, if the kernel allows it.
Result<ir::ProgramOrder> orderOf(const CompileOptions &options, const ir::Function &tile, bool ordered) {
  if (options.programOrder == "auto")
    return passes::chooseProgramOrder(tile);
  Result<ir::ProgramOrder> order = ir::ProgramOrder::parse(options.programOrder);
  if (order && ordered && *order != ir::ProgramOrder{})
    return Diagnostic{.message = "found the program order '" + options.programOrder +
                                 "' for a kernel whose programs wait for each other, expected 'xyz'",
                      .kernel = tile.name,
                      .hint =
                          "leave the order out: such programs start in ascending order, or they could wait forever"};
  return order;
}

Result<CompiledKernel> compileStages(std::string_view ttir, const CompileOptions &options) {
  Result<cpu::Level> level = cpu::findLevel(options.level);
  if (!level)
    return std::move(level.diagnostics());
  CompiledKernel kernel;
  kernel.entry = options.entry;
  Stages stages(options, kernel);
  stages.dump("input.ttir", std::string(ttir));

  // Text -> tile IR. From here on every op and type is one of ops.def, and locations point at Python lines.
  auto tile = stages.run("parse", [&] { return ttir::parse(ttir, "ttir"); });
  if (!tile)
    return std::move(tile.diagnostics());
  stages.dump("parse.ir", ir::print(*tile));

  // One function of scalars and tiles with structured control; calls, branches, block pointers and descriptors are
  // gone.
  auto normal = stages.run("normalize", [&] { return passes::normalize(*tile); });
  if (!normal)
    return std::move(normal.diagnostics());
  stages.dump("normalize.ir", ir::print(*normal));
#ifndef NDEBUG
  if (Status valid = ir::verify(*normal); !valid)
    OPW_CHECK(false, "the normalized module is not valid: " + render(valid.diagnostics()));
#endif

  kernel.ordered = passes::isOrderSensitive(normal->functions.front());
  Result<ir::ProgramOrder> order = orderOf(options, normal->functions.front(), kernel.ordered);
  if (!order)
    return std::move(order.diagnostics());
  kernel.programOrder = order->str();

  // Tile IR -> plan IR: tiles are gone; there are loops, buffers and single elements.
  auto plan = stages.run("plan", [&] {
    return passes::lowerToPlan(*normal, {.argsDisjoint = options.argsDisjoint, .vectorLanes = level->lanes(32)});
  });
  if (!plan)
    return std::move(plan.diagnostics());
  stages.dump("plan.ir", ir::print(*plan));
#ifndef NDEBUG
  if (Status valid = ir::verify(*plan); !valid)
    OPW_CHECK(false, "the plan is not valid: " + render(valid.diagnostics()));
#endif

  if (options.explain)
    kernel.remarks = stages.run("explain", [&] { return explainPlan(*normal, *plan, *level, *order); });

  // Plan IR -> object: loops are strip-mined, elements become vectors of the level.
  cpu::EmitOptions emission{.level = options.level,
                            .entry = options.entry,
                            .fpFusion = options.fpFusion,
                            .order = *order,
                            .debugInfo = options.debugInfo,
                            .dump = !options.dumpDir.empty(),
                            .assembly = options.assembly};
  const ir::Function &function = plan->functions.front();
  auto emitted = stages.run("emit", [&] { return cpu::emit(*plan, function, emission); });
  if (!emitted)
    return std::move(emitted.diagnostics());
  stages.dump("emit.ll", emitted->llvmIr);
  stages.dump("optimize.ll", emitted->optimizedIr);
  stages.dump("object.s", emitted->assembly);

  kernel.object = std::move(emitted->object);
  if (options.assembly)
    kernel.assembly = std::move(emitted->assembly);
  kernel.scratchBytes = emitted->scratchBytes;
  kernel.name = function.name;
  for (ir::ValueId argument : function.arguments())
    kernel.params.push_back({function.type(argument).isPointer(), function.type(argument).elem});
  return kernel;
}

} // namespace

Result<CompiledKernel> compileKernel(std::string_view ttir, const CompileOptions &options) {
  auto broken = [](const char *what) {
    return Diagnostic{.message = std::string("the compiler failed: ") + what,
                      .hint =
                          "this is a bug in Opwright; please report it with the kernel (OPW_DUMP_DIR keeps its IR)"};
  };
  try {
    return compileStages(ttir, options);
  } catch (const InternalError &error) {
    return broken(error.what());
  } catch (const std::exception &error) {
    return broken(error.what());
  }
}

std::string hostLevel() { return cpu::hostLevel(); }

} // namespace opw::driver
