// Builds plan functions by hand, emits them for a level, loads and runs them.
#pragma once

#include "codegen/cpu/emit.h"
#include "codegen/cpu/jit.h"
#include "codegen/cpu/level.h"
#include "emulator/emulated.h"
#include "ir/builder.h"
#include "opwright/plugin.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <malloc.h>
#include <map>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace opw::test {

using namespace opw::ir;

inline Type f32() { return Type::scalar(Elem::F32); }
inline Type i64() { return Type::scalar(Elem::I64); }
inline Type i32() { return Type::scalar(Elem::I32); }
inline Type i1() { return Type::scalar(Elem::I1); }

inline Attributes attribute(std::string name, Attribute value) {
  Attributes attributes;
  attributes.set(std::move(name), std::move(value));
  return attributes;
}
inline Attributes predicate(std::string name) { return attribute("predicate", Attribute::keyword(std::move(name))); }

class Plan {
public:
  Plan() : b(fn, fn.addBlock()) {
    fn.name = "plan";
    fn.body.blocks.push_back(b.block());
  }

  Function fn;
  Builder b;

  ValueId arg(Type type) { return fn.addArgument(fn.body.blocks[0], type); }
  ValueId pointer(Elem elem) { return arg(Type::pointer(elem)); }
  ValueId c(int64_t value, Elem elem = Elem::I64) { return b.constant(value, elem); }
  ValueId f(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return b.value(OpKind::Constant, {}, f32(), attribute("value", Attribute::floatBits(bits, Elem::F32)));
  }
  ValueId op(OpKind kind, std::vector<ValueId> operands, Type type, Attributes attributes = {}) {
    return b.value(kind, std::move(operands), type, std::move(attributes));
  }
  /// With the type of the first operand.
  ValueId op(OpKind kind, std::vector<ValueId> operands) {
    Type type = fn.type(operands[0]);
    return b.value(kind, std::move(operands), type);
  }
  ValueId cmp(std::string pred, ValueId x, ValueId y) {
    return op(fn.type(x).isFloatLike() ? OpKind::CmpF : OpKind::CmpI, {x, y}, i1(), predicate(std::move(pred)));
  }
  ValueId load(ValueId base, ValueId offset, ValueId mask = kNone, ValueId other = kNone) {
    Type type = fn.type(base);
    type.pointerDepth--;
    std::vector<ValueId> operands{base, offset};
    if (mask != kNone)
      operands.push_back(mask);
    if (other != kNone)
      operands.push_back(other);
    return op(OpKind::PlanLoad, operands, type);
  }
  void store(ValueId base, ValueId offset, ValueId value, ValueId mask = kNone, bool stream = false) {
    std::vector<ValueId> operands{base, offset, value};
    if (mask != kNone)
      operands.push_back(mask);
    Attributes attributes;
    if (stream)
      attributes.set("stream", Attribute::unit());
    b.create(OpKind::PlanStore, operands, {}, attributes);
  }
  ValueId buffer(Elem elem, int64_t elements) {
    return op(OpKind::PlanBuffer, {}, Type::pointer(elem), attribute("elements", Attribute::integerOf(elements)));
  }
  ValueId pid(const char *axis = "x") {
    return op(OpKind::GetProgramId, {}, i32(), attribute("axis", Attribute::keyword(axis)));
  }
  ValueId wide(ValueId narrow) { return op(OpKind::ExtSI, {narrow}, i64()); }

  /// body(variable, carried) returns what to carry on.
  using Body = std::function<std::vector<ValueId>(ValueId, std::vector<ValueId>)>;
  std::vector<ValueId> loop(ValueId low, ValueId high, ValueId step, std::vector<ValueId> inits, Attributes attributes,
                            Body body) {
    std::vector<ValueId> operands{low, high, step};
    std::vector<Type> types;
    for (ValueId v : inits) {
      operands.push_back(v);
      types.push_back(fn.type(v));
    }
    OpId id = b.create(OpKind::PlanLoop, operands, types, std::move(attributes));
    BlockId outer = b.block(), inner = fn.addBlock(id);
    fn.op(id).regions.resize(1);
    fn.op(id).regions[0].blocks.push_back(inner);
    ValueId variable = fn.addArgument(inner, i64());
    std::vector<ValueId> carried;
    for (const Type &type : types)
      carried.push_back(fn.addArgument(inner, type));
    b.setBlock(inner);
    b.create(OpKind::Yield, body(variable, carried), {});
    b.setBlock(outer);
    return fn.op(id).results;
  }
  std::vector<ValueId> lanes(ValueId low, ValueId high, std::vector<ValueId> inits, std::vector<OpKind> combines,
                             Body body) {
    Attributes attributes = attribute("lane", Attribute::unit());
    Attribute list{.kind = Attribute::Kind::List};
    for (OpKind kind : combines)
      list.items.emplace_back("", Attribute::keyword(std::string(name(kind))));
    if (!combines.empty())
      attributes.set("combine", list);
    return loop(low, high, c(1), std::move(inits), attributes, std::move(body));
  }
  void lanes(ValueId low, ValueId high, std::function<void(ValueId)> body) {
    lanes(low, high, {}, {}, [&](ValueId i, std::vector<ValueId>) {
      body(i);
      return std::vector<ValueId>{};
    });
  }
  std::vector<ValueId> seq(ValueId low, ValueId high, std::vector<ValueId> inits, Body body) {
    return loop(low, high, c(1), std::move(inits), {}, std::move(body));
  }

  Module finish() {
    b.create(OpKind::Return, {}, {});
    Module module;
    module.functions.push_back(fn);
    return module;
  }
};

/// The memory between the guards of every Guarded, by its start.
inline std::map<char *, size_t> &guardedMemory() {
  static std::map<char *, size_t> memory;
  return memory;
}

/// What a pointer that a test gives to a kernel points into: a Guarded, or the elements of a vector.
inline Region regionOf(void *pointer) {
  auto after = guardedMemory().upper_bound(static_cast<char *>(pointer));
  if (after != guardedMemory().begin()) {
    auto [start, bytes] = *std::prev(after);
    if (pointer <= start + bytes)
      return {start, bytes};
  }
  return {pointer, malloc_usable_size(pointer)};
}

/// A loaded plan.
class Kernel {
public:
  Kernel(Plan &plan, const std::string &level, bool fuse = true) {
    if (modules.functions.empty())
      modules = plan.finish();
    Result<cpu::EmittedObject> result =
        cpu::emit(modules, modules.functions[0],
                  {.level = level, .fpFusion = fuse, .dump = getenv("OPW_DUMP") != nullptr, .verify = true});
    if (!result) {
      ADD_FAILURE() << render(result.diagnostics());
      return;
    }
    object = std::move(*result);
    if (const char *dump = getenv("OPW_DUMP"))
      fprintf(stderr, "%s",
              *dump == 'a'   ? object.assembly.c_str()
              : *dump == 'o' ? object.optimizedIr.c_str()
                             : object.llvmIr.c_str());
    scratch.resize(object.scratchBytes + 64);
    if (level == "aarch64") { // a process starts with the first run
      emulates = true;
      return;
    }
    auto loaded = cpu::JitModule::load(object.object);
    if (!loaded) {
      ADD_FAILURE() << render(loaded.diagnostics());
      return;
    }
    code = std::move(*loaded);
    entry = reinterpret_cast<opw_cpu_entry_t>(code->lookup("opw_kernel").address);
    EXPECT_NE(entry, nullptr);
  }
  bool isLoaded() const { return entry || emulates; }

  template <typename... Args> void run(uint32_t programs, Args... args) {
    uint32_t grid[3] = {programs, 1, 1};
    runGrid(grid, 0, programs, args...);
  }
  template <typename... Args> void runGrid(const uint32_t (&grid)[3], int64_t low, int64_t high, Args... args) {
    ASSERT_TRUE(isLoaded());
    if (emulates)
      return emulate(grid, low, high, {slotOf(args)...});
    std::vector<uint64_t> slots{slot(args)...};
    opw_cpu_launch_t launch{};
    launch.struct_size = sizeof launch;
    launch.epoch = ++epoch;
    opw_cpu_args_t a{};
    a.struct_size = sizeof a;
    a.flags = flags;
    std::copy(grid, grid + 3, a.grid);
    a.slot_count = slots.size();
    a.launch = &launch;
    a.slots = slots.data();
    opw_cpu_scratch_t s{};
    s.memory = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) & ~uintptr_t{63});
    s.bytes = object.scratchBytes;
    EXPECT_EQ(entry(&a, low, high, &s), 0);
  }

  cpu::EmittedObject object;
  opw_cpu_entry_t entry = nullptr;
  uint32_t flags = 0;
  uint64_t epoch = 0;

private:
  Module modules;
  std::unique_ptr<cpu::JitModule> code;
  bool emulates = false;
  std::unique_ptr<Emulated> emulated;
  std::vector<char> scratch;

  void emulate(const uint32_t (&grid)[3], int64_t low, int64_t high, std::vector<emulated_slot_t> slots) {
    std::vector<Region> regions;
    for (emulated_slot_t &slot : slots) {
      if (slot.region < 0)
        continue;
      Region region = regionOf(reinterpret_cast<void *>(slot.value));
      slot.region = 0;
      while (slot.region < int64_t(regions.size()) && regions[slot.region].address != region.address)
        slot.region++;
      if (slot.region == int64_t(regions.size()))
        regions.push_back(region);
    }
    emulated_call_t call{.flags = flags,
                         .grid = {grid[0], grid[1], grid[2]},
                         .low = low,
                         .high = high,
                         .epoch = ++epoch,
                         .scratch_bytes = object.scratchBytes,
                         .slots = 0,
                         .regions = 0,
                         .threads = 1,
                         .reserved = 0};
    emulated_answer_t answer{};
    if (!emulated)
      emulated = Emulated::start(object.object);
    ASSERT_NE(emulated, nullptr);
    ASSERT_TRUE(emulated->call(call, slots, regions, answer)) << "the process under the emulator died";
    EXPECT_EQ(answer.status, 0);
  }
  template <typename T> static emulated_slot_t slotOf(T value) {
    return {slot(value), std::is_pointer_v<T> && slot(value) ? 0 : -1};
  }
  template <typename T> static uint64_t slot(T *pointer) { return reinterpret_cast<uint64_t>(pointer); }
  static uint64_t slot(int value) { return uint64_t(int64_t(value)); }
  static uint64_t slot(int64_t value) { return uint64_t(value); }
  static uint64_t slot(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
  }
};

/// Levels that this machine can run, or the one that the emulator can.
inline std::vector<std::string> levels() {
  if (Emulated::wanted())
    return {"aarch64"};
  std::vector<std::string> all;
  if (!cpu::hostLevel().empty())
    all.push_back("x86-64-v3");
  if (cpu::hostLevel() == "x86-64-v4")
    all.push_back("x86-64-v4");
  all.push_back("host");
  return all;
}

class Codegen : public testing::TestWithParam<std::string> {};
inline std::string levelName(const testing::TestParamInfo<std::string> &info) {
  std::string text = info.param;
  for (char &c : text)
    if (c == '-')
      c = '_';
  return text;
}

/// `count` elements that end (or begin) at a page that must not be touched.
template <typename T> class Guarded {
public:
  explicit Guarded(size_t count, bool atEnd = true) : count(count) {
    size_t page = size_t(sysconf(_SC_PAGESIZE)), bytes = (count * sizeof(T) + page - 1) / page * page;
    size = bytes + 2 * page;
    memory = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory, page, PROT_NONE);
    mprotect(memory + page + bytes, page, PROT_NONE);
    start = reinterpret_cast<T *>(memory + page + (atEnd ? bytes - count * sizeof(T) : 0));
    guardedMemory()[memory + page] = bytes;
  }
  ~Guarded() {
    guardedMemory().erase(memory + (size_t(sysconf(_SC_PAGESIZE))));
    munmap(memory, size);
  }
  Guarded(const Guarded &) = delete;
  T *data() { return start; }
  T &operator[](size_t i) { return start[i]; }
  T *begin() { return start; }
  T *end() { return start + count; }

private:
  size_t count, size;
  char *memory;
  T *start;
};

} // namespace opw::test
