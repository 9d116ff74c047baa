// opwright/plugin.hpp - plugin libraries from C++: a checked face over plugin.h. C++17, headers only; it adds no ABI.
//
//     opwright::Library library("libnorm.so"); // refuses a damaged file before it is mapped
//     opwright::Op norm = library.op("sample::rms_norm");
//     opwright::Array y = norm({opwright::view(x, {4, 300}), opwright::view(weight)}, {{"epsilon", 1e-5}});
//
// For memory of one's own and for calls in a loop; a Call that runs again allocates nothing:
//
//     opwright::Call call(norm);
//     call.inputs({x, weight}).outputs({y}).attr("epsilon", 1e-5).run();
//
// Errors: a refusal is an opwright::Error with the runtime's status and text. What is refused has not run; a kernel or
// a host that fails while it runs (OPW_E_ASSERT, OPW_E_HOST) leaves outputs that are written in part.
//
// Lifetime: libraries are never unmapped, so Library and Op are handles that own nothing and are always valid. What a
// view looks at must live while calls use the view.
//
// Threads: any number of threads may use one Library or Op at once. A Call, an Array and a view belong to one thread at
// a time, as a std::vector does: make a Call per thread.
#ifndef OPWRIGHT_PLUGIN_HPP
#define OPWRIGHT_PLUGIN_HPP

#include <array>
#include <cstdlib>
#include <dlfcn.h>
#include <optional>
#include <opwright/attributes.hpp>
#include <opwright/host.hpp>
#include <opwright/seal.hpp>
#include <opwright/tensor.hpp>
#include <string_view>
#include <vector>

namespace opwright {

namespace detail {
inline std::string_view textOf(const char *s) noexcept { return s ? s : ""; }
/// Calls a function of the library that may refuse: `function(&error)` gives its status.
template <class Function> void check(const char *op, Function &&function) {
  char text[1024];
  text[0] = 0;
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  if (const opw_status_t status = function(&error))
    throw Error(status, text[0] ? text : std::string(op) + ": status " + std::to_string(status));
}
} // namespace detail

// ---- what calls take ----------------------------------------------------------------------------------------------

/// An input: a view or an array, or nullptr for an optional one that is absent. A variadic input is spelled out.
class Input {
public:
  Input(const ConstView &view) : given(view) {}
  Input(const Array &array) : given(ConstView(array)) {}
  Input(std::nullptr_t) {}
  const ConstView *get() const noexcept { return given ? &*given : nullptr; }

private:
  std::optional<ConstView> given;
};

/// An output of the caller's: a view or an array, or nullptr for an optional one that is not wanted.
class Output {
public:
  Output(const View &view) : given(view) {}
  Output(Array &array) : given(View(array)) {}
  Output(std::nullptr_t) {}
  const View *get() const noexcept { return given ? &*given : nullptr; }

private:
  std::optional<View> given;
};

// ---- what calls give ----------------------------------------------------------------------------------------------

struct TensorType {
  DType dtype;
  Shape shape; ///< -1 where the size depends on the data
};

struct Choice {
  int32_t tactic;
  std::string_view device;   ///< "cpu", or the device of the tuned entry
  std::vector<DType> dtypes; ///< of inputs, then outputs
};

/// The outputs of a call. Where there is one it converts: `Array y = op({x});`.
class Results {
public:
  size_t size() const noexcept { return arrays.size(); }
  Array &operator[](size_t i) { return arrays.at(i); }
  Array &operator[](std::string_view name) {
    std::string known;
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name)
        return arrays[i];
      known += (i ? ", " : "") + std::string(names[i]);
    }
    throw Error(OPW_E_ARGUMENT, op + ": found no output '" + std::string(name) + "', expected one of: " + known);
  }
  auto begin() noexcept { return arrays.begin(); }
  auto end() noexcept { return arrays.end(); }
  operator Array() && { return std::move(std::move(*this).take<1>()[0]); }
  /// `auto [values, indices] = op({x}).take<2>();`
  template <size_t N> std::array<Array, N> take() && {
    if (const size_t found = arrays.size(); found != N) {
      std::string known;
      for (std::string_view name : names)
        known += (known.empty() ? ", or one by its name: " : ", ") + std::string(name);
      throw Error(OPW_E_ARGUMENT, op + ": found " + std::to_string(found) + " outputs, expected " + std::to_string(N) +
                                      "; use take<" + std::to_string(found) + ">()" + known);
    }
    std::array<Array, N> all;
    std::move(arrays.begin(), arrays.end(), all.begin());
    return all;
  }

private:
  friend class Call;
  std::string op;
  std::vector<Array> arrays;
  std::vector<std::string_view> names;
};

// ---- ops ----------------------------------------------------------------------------------------------------------

struct TensorInfo {
  std::string_view name, doc;
  uint32_t flags; ///< OPW_IO_OPTIONAL, OPW_IO_VARIADIC, OPW_IO_HOST, ...
  uint32_t rankMin, rankMax;
};

struct AttrInfo {
  std::string_view name, doc;
  uint32_t kind; ///< OPW_ATTR_INT, ...
  bool required;
  std::vector<std::string_view> choices; ///< of an enum
};

struct TacticInfo {
  int32_t id;
  std::string_view text;
};

/// One operator of a library.
class Op {
public:
  Op(const opw_op_t *op, const opw_api_t *api) noexcept : declared(op), functions(api) {}

  /// Runs the op on inputs in declared order; the outputs are new arrays, also of an op that works in place.
  Results operator()(std::initializer_list<Input> inputs, std::initializer_list<Attr> attributes = {}) const;

  std::string name() const { return std::string(declared->ns) + "::" + declared->name; }
  int32_t version() const noexcept { return declared->version; }
  std::string_view doc() const noexcept { return detail::textOf(declared->doc); }
  std::vector<TensorInfo> inputs() const { return tensors(declared->inputs, declared->input_count); }
  std::vector<TensorInfo> outputs() const { return tensors(declared->outputs, declared->output_count); }
  std::vector<AttrInfo> attributes() const {
    std::vector<AttrInfo> all;
    for (uint32_t i = 0; i < declared->attr_count; ++i) {
      const opw_attr_t &a = *declared->attrs[i];
      all.push_back({a.name, detail::textOf(a.doc), a.kind, a.fallback.kind == OPW_ATTR_NONE, {}});
      all.back().choices.assign(a.choices, a.choices + a.choice_count);
    }
    return all;
  }
  /// The combinations of element types that it takes: of inputs, then outputs.
  std::vector<std::vector<DType>> dtypes() const {
    std::vector<std::vector<DType>> rows;
    for (uint32_t c = 0; c < declared->combo_count; ++c)
      rows.push_back(row(c));
    return rows;
  }
  std::vector<TacticInfo> tactics() const {
    std::vector<TacticInfo> all;
    for (uint32_t i = 0; i < declared->tactic_count; ++i)
      all.push_back({declared->tactics[i]->id, detail::textOf(declared->tactics[i]->text)});
    return all;
  }
  /// Throws where the op's tables are damaged or this machine lacks what its kernels need; a first call does it too.
  void prepare() const {
    detail::check(declared->name, [&](opw_error_t *e) { return functions->prepare(declared, OPW_DEVICE_CPU, 0, e); });
  }

  const opw_op_t *table() const noexcept { return declared; }
  const opw_api_t *api() const noexcept { return functions; }

private:
  friend class Call;
  static std::vector<TensorInfo> tensors(const opw_io_t *const *ios, uint32_t count) {
    std::vector<TensorInfo> all;
    for (uint32_t i = 0; i < count; ++i)
      all.push_back({ios[i]->name, detail::textOf(ios[i]->doc), ios[i]->flags, ios[i]->rank_min, ios[i]->rank_max});
    return all;
  }
  std::vector<DType> row(uint32_t combo) const {
    std::vector<DType> types;
    for (uint32_t i = 0; i < declared->input_count + declared->output_count; ++i) {
      const opw_io_t &io =
          i < declared->input_count ? *declared->inputs[i] : *declared->outputs[i - declared->input_count];
      types.push_back(static_cast<DType>(declared->combos[combo * declared->typevar_count + io.typevar]));
    }
    return types;
  }

  const opw_op_t *declared;
  const opw_api_t *functions;
};

/// A call of an op that is put together step by step, and may run again with other tensors.
class Call {
public:
  explicit Call(const Op &of)
      : op(of.declared), api(of.functions), values(op->attr_count, Value(0)), attrs(op->attr_count) {}
  Call(Call &&) = default;
  Call &operator=(Call &&) = default;

  Call &inputs(std::initializer_list<Input> all) { return in.assign(all), *this; }
  Call &input(const Input &next) { return in.push_back(next), *this; }
  /// Memory of the caller, in the shapes that infer() gives; for an output that works in place it may be its input's.
  Call &outputs(std::initializer_list<Output> all) { return out.assign(all), *this; }
  Call &output(const Output &next) { return out.push_back(next), *this; }
  Call &attr(std::string_view name, Value value);
  Call &tactic(int32_t id) noexcept { return wanted = id, *this; }          ///< 0: chosen by the runtime
  Call &host(const Host &used) noexcept { return services = &used, *this; } ///< it must live while calls run
  /// Memory for what lies between launches, of workspaceBytes(); without it the host's or the runtime's is taken.
  Call &workspace(void *memory, size_t bytes) noexcept { return scratch = memory, scratchBytes = bytes, *this; }

  /// Element types and shapes of the outputs. Inputs may have sizes of -1 and no data.
  std::vector<TensorType> infer() { return infer(nullptr); }
  size_t workspaceBytes();
  Choice choose();
  /// Runs into the outputs that were given.
  void run() { runPhase(0, scratch, scratchBytes); }
  /// Runs into new arrays. Sizes that depend on the data are exact.
  Results compute();

private:
  std::string name() const { return Op(op, api).name(); }
  [[noreturn]] void refuse(opw_status_t status, const std::string &what) const {
    throw Error(status, name() + ": " + what);
  }
  opw_call_t fill(uint32_t phases = 0);
  template <class Function> void invoke(opw_call_t call, Function &&function);
  void runPhase(uint32_t phases, void *memory, size_t bytes);
  opw_choice_t decide();
  std::vector<TensorType> infer(const std::vector<Array> *counted);
  bool countsFirst(const opw_plan_t &plan) const;
  void computeInPhases(std::vector<Array> &arrays, const std::vector<TensorType> &types);
  void computeWithinBounds(std::vector<Array> &arrays, const std::vector<TensorType> &types);

  const opw_op_t *op;
  const opw_api_t *api;
  std::vector<Input> in;
  std::vector<Output> out;
  std::vector<Value> values;           // of attributes; what attrs point to
  std::vector<opw_attr_value_t> attrs; // in declared order, kind NONE = default
  std::vector<opw_tensor_t> tensors;   // inputs, then outputs, of one run
  std::vector<opw_tensor_t *> pointers;
  int32_t wanted = 0;
  const Host *services = nullptr;
  void *scratch = nullptr;
  size_t scratchBytes = 0;
};

// ---- libraries ----------------------------------------------------------------------------------------------------

struct Unsealed {};
inline constexpr Unsealed unsealed; ///< takes a library without a seal too, made by hand: only its frame is checked

/// A plugin library.
class Library {
public:
  /// Loads a file. Error OPW_E_CORRUPT: it cannot be read, is damaged or no plugin; OPW_E_ABI: one of another version.
  explicit Library(const std::string &path) : Library(path, true) {}
  Library(const std::string &path, Unsealed) : Library(path, false) {}
  /// One that is loaded already, or linked in.
  explicit Library(opw_library_fn query, const std::string &path = "the library") : file(path) { attach(query); }

  /// By "ns::name", or by name where only one namespace has it; version 0 is the newest.
  Op op(std::string_view name, int32_t version = 0) const;
  std::vector<Op> ops() const {
    std::vector<Op> all;
    for (uint32_t i = 0; i < library->tables->op_count; ++i)
      all.emplace_back(library->tables->ops[i], library->api);
    return all;
  }
  const std::string &path() const noexcept { return file; }
  std::string_view name() const noexcept { return detail::textOf(library->tables->name); }
  std::string_view producer() const noexcept { return detail::textOf(library->tables->producer); }
  const opw_library_t *table() const noexcept { return library; }

private:
  Library(const std::string &path, bool needSeal);
  void attach(opw_library_fn query);

  std::string file;
  const opw_library_t *library = nullptr;
};

// ---- how it is done -----------------------------------------------------------------------------------------------

inline Call &Call::attr(std::string_view attribute, Value value) {
  std::string known;
  for (uint32_t i = 0; i < op->attr_count; ++i) {
    if (attribute == op->attrs[i]->name) {
      attrs[i] = {}; // a value that is refused leaves none
      values[i] = std::move(value);
      attrs[i] = values[i].as(*op->attrs[i], name());
      return *this;
    }
    known += (i ? ", " : "") + std::string(op->attrs[i]->name);
  }
  refuse(OPW_E_ARGUMENT,
         "found no attribute '" + std::string(attribute) + "', expected one of: " + (op->attr_count ? known : "none"));
}

inline opw_call_t Call::fill(uint32_t phases) {
  tensors.resize(in.size() + out.size());
  pointers.assign(tensors.size(), nullptr);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ConstView *view = i < in.size() ? in[i].get() : out[i - in.size()].get();
    if (view) {
      tensors[i] = view->tensor();
      pointers[i] = &tensors[i];
    }
  }
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = pointers.data();
  call.outputs = pointers.data() + in.size();
  call.attrs = attrs.data();
  call.input_count = static_cast<uint32_t>(in.size());
  call.output_count = static_cast<uint32_t>(out.size());
  call.attr_count = static_cast<uint32_t>(attrs.size());
  call.device_type = OPW_DEVICE_CPU;
  call.tactic = wanted;
  call.phases = phases;
  return call;
}

/// `function(&call, &error)` with the host's services.
template <class Function> void Call::invoke(opw_call_t call, Function &&function) {
  if (!services)
    return detail::check(op->name, [&](opw_error_t *error) { return function(&call, error); });
  detail::HostBridge bridge{*services, nullptr};
  const opw_host_t host = bridge.table();
  call.host = &host;
  detail::check(op->name, [&](opw_error_t *error) {
    const opw_status_t status = function(&call, error);
    if (bridge.failure)
      std::rethrow_exception(bridge.failure);
    return status;
  });
}

inline void Call::runPhase(uint32_t phases, void *memory, size_t bytes) {
  opw_call_t call = fill(phases);
  call.workspace = memory;
  call.workspace_bytes = bytes;
  invoke(call, [this](const opw_call_t *c, opw_error_t *error) { return api->run(op, c, error); });
}

/// With arrays in which the data-dependent sizes lie, all sizes are known.
inline std::vector<TensorType> Call::infer(const std::vector<Array> *counted) {
  if (op->output_count && (op->outputs[op->output_count - 1]->flags & OPW_IO_VARIADIC))
    refuse(OPW_E_UNSUPPORTED, "found a variadic output, whose shapes are not inferred; give outputs()");
  std::vector<std::array<int64_t, OPW_MAX_RANK>> sizes(op->output_count);
  std::vector<opw_tensor_t> types(op->output_count);
  std::vector<opw_tensor_t *> places;
  for (size_t i = 0; i < types.size(); ++i) {
    if (counted && (op->outputs[i]->flags & OPW_IO_SIZE))
      types[i] = ConstView((*counted)[i]).tensor();
    types[i].shape = sizes[i].data();
    places.push_back(&types[i]);
  }
  opw_call_t call = fill(counted ? 2 : 0);
  call.outputs = places.data();
  call.output_count = op->output_count;
  invoke(call, [this](const opw_call_t *c, opw_error_t *error) { return api->infer(op, c, error); });
  std::vector<TensorType> all;
  for (const opw_tensor_t &t : types)
    all.push_back({detail::dtypeOf(t.dl_code, t.dl_bits), Shape(t.shape, t.shape + t.ndim)});
  return all;
}

inline size_t Call::workspaceBytes() {
  size_t bytes = 0;
  invoke(fill(), [&](const opw_call_t *c, opw_error_t *error) { return api->workspace(op, c, &bytes, error); });
  return bytes;
}

inline opw_choice_t Call::decide() {
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  invoke(fill(), [&](const opw_call_t *c, opw_error_t *error) { return api->choose(op, c, &choice, error); });
  return choice;
}

inline Choice Call::choose() {
  const opw_choice_t choice = decide();
  return {choice.tactic, detail::textOf(choice.device), Op(op, api).row(choice.combo)};
}

inline Results Call::compute() {
  if (!out.empty())
    refuse(OPW_E_ARGUMENT, "found outputs of the caller's, which run() fills; compute() makes its own");
  const std::vector<TensorType> types = infer();
  struct Restore { // also when something throws
    Call &call;
    int32_t tactic;
    ~Restore() {
      call.out.clear();
      call.wanted = tactic;
    }
  } const restore{*this, wanted};
  Results results;
  results.op = name();
  bool counted = false;
  for (size_t o = 0; o < types.size(); ++o) {
    const bool known = types[o].shape.known();
    counted = counted || !known;
    results.names.push_back(op->outputs[o]->name);
    results.arrays.push_back(known ? Array(types[o].dtype, types[o].shape, op->outputs[o]->align) : Array());
    out.push_back(known ? Output(results.arrays[o]) : Output(nullptr));
  }
  if (!counted) {
    run();
    return results;
  }
  const opw_choice_t choice = decide();
  wanted = choice.tactic; // the same one in both phases
  if (countsFirst(*op->plans[choice.plan]))
    computeInPhases(results.arrays, types);
  else
    computeWithinBounds(results.arrays, types);
  return results;
}

/// Whether phase 0 leaves alone the outputs whose sizes it counts.
inline bool Call::countsFirst(const opw_plan_t &plan) const {
  auto isCounted = [&](uint32_t tensor) {             // outputs without memory are those
    const uint32_t output = tensor - op->input_count; // wraps for an input
    return output < out.size() && !out[output].get();
  };
  for (uint32_t l = 0; l < plan.launch_count; ++l) {
    const opw_launch_t &launch = *plan.launches[l];
    if (launch.phase != 0)
      continue;
    if (launch.kind == OPW_LAUNCH_FILL && isCounted(launch.fill_tensor))
      return false;
    for (const opw_arg_t *a = launch.args; a != launch.args + launch.arg_count; ++a)
      if ((a->kind == OPW_ARG_POINTER && isCounted(a->tensor)) ||
          (a->kind == OPW_ARG_DESCRIPTOR && isCounted(a->descriptor->tensor)))
        return false;
  }
  return true;
}

/// Runs what counts, makes the arrays that are missing, and runs the rest in the same workspace.
inline void Call::computeInPhases(std::vector<Array> &arrays, const std::vector<TensorType> &types) {
  const size_t bytes = scratch ? scratchBytes : workspaceBytes();
  Array own = scratch ? Array() : Array(DType::u8, {static_cast<int64_t>(bytes)});
  void *memory = scratch ? scratch : own.data();
  runPhase(1, memory, bytes);
  const std::vector<TensorType> exact = infer(&arrays);
  for (size_t o = 0; o < types.size(); ++o)
    if (!types[o].shape.known()) {
      arrays[o] = Array(exact[o].dtype, exact[o].shape, op->outputs[o]->align);
      out[o] = arrays[o];
    }
  runPhase(2, memory, bytes);
}

/// Runs all at once into arrays as large as the bounds; the results lie at the front of those.
inline void Call::computeWithinBounds(std::vector<Array> &arrays, const std::vector<TensorType> &types) {
  for (uint32_t k = 0; k < op->size_count; ++k) {
    const opw_size_t &size = *op->sizes[k];
    invoke(fill(), [&](const opw_call_t *c, opw_error_t *error) {
      return api->eval(op, &size.upper, c, arrays[size.output].data(), error);
    });
  }
  const std::vector<TensorType> largest = infer(&arrays);
  for (size_t o = 0; o < types.size(); ++o) {
    const opw_io_t &io = *op->outputs[o];
    const Shape &shape = types[o].shape;
    if (shape.known())
      continue;
    const auto *unknown = std::find(shape.begin(), shape.end(), -1);
    if (!(io.flags & OPW_IO_COMPACT) && std::any_of(shape.begin(), unknown, [](int64_t n) { return n > 1; }))
      refuse(OPW_E_UNSUPPORTED, std::string("output ") + io.name +
                                    " would be laid out by an upper bound that is not its first size; "
                                    "give outputs() of that bound");
    arrays[o] = Array(largest[o].dtype, largest[o].shape, io.align);
    out[o] = arrays[o];
  }
  run();
  const std::vector<TensorType> exact = infer(&arrays);
  for (size_t o = 0; o < types.size(); ++o)
    arrays[o].shrink(exact[o].shape);
}

inline Results Op::operator()(std::initializer_list<Input> inputs, std::initializer_list<Attr> attributes) const {
  Call call(*this);
  call.inputs(inputs);
  for (const Attr &a : attributes)
    call.attr(a.name, a.value);
  return call.compute();
}

inline Library::Library(const std::string &path, bool needSeal) : file(path) {
  const FileCheck checked = checkFile(path, needSeal);
  if (!checked.refusal.empty())
    throw Error(OPW_E_CORRUPT, checked.refusal);
  const std::unique_ptr<char, void (*)(void *)> real(realpath(path.c_str(), nullptr), std::free);
  void *handle = real ? dlopen(real.get(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!handle)
    throw Error(OPW_E_CORRUPT, path + " cannot be loaded: " + (real ? dlerror() : std::strerror(errno)));
  void *query = dlsym(handle, "opw_library");
  if (!query)
    throw Error(OPW_E_CORRUPT, path + " is not an Opwright plugin: it has no function opw_library; check the path");
  attach(reinterpret_cast<opw_library_fn>(query));
  if (checked.sealed && std::memcmp(checked.seal.hash, library->tables->hash, sizeof checked.seal.hash) != 0)
    throw Error(OPW_E_CORRUPT,
                path + " is loaded already, from an earlier file of that name; start a new process, or load "
                       "a copy that has another name");
}

inline void Library::attach(opw_library_fn query) {
  library = query ? query(OPW_ABI_MAJOR) : nullptr;
  const std::string cure =
      ", expected major " + std::to_string(OPW_ABI_MAJOR) + "; build it again with this version of Opwright";
  if (!library)
    throw Error(OPW_E_ABI, file + " was built for another plugin ABI" + cure);
  const opw_library_t &l = *library;
  // Tables of another minor may be longer or shorter: what is read here must be there.
  if (l.abi_major != OPW_ABI_MAJOR || l.struct_size < offsetof(opw_library_t, api) + sizeof l.api ||
      l.api->struct_size < offsetof(opw_api_t, eval) + sizeof l.api->eval ||
      l.tables->struct_size < offsetof(opw_tables_t, op_count) + sizeof l.tables->op_count)
    throw Error(OPW_E_ABI, file + " has plugin ABI " + std::to_string(library->abi_major) + "." +
                               std::to_string(library->abi_minor) + cure);
}

inline Op Library::op(std::string_view name, int32_t version) const {
  const size_t split = name.find("::");
  const std::string local(split == name.npos ? name : name.substr(split + 2));
  std::string ns(split == name.npos ? "" : name.substr(0, split)), all, same;
  for (const Op &o : ops()) {
    all += (all.empty() ? "" : ", ") + o.name();
    if (split == name.npos && o.table()->name == local && o.table()->ns != ns) {
      same += (same.empty() ? "" : " and ") + o.name();
      ns = o.table()->ns;
    }
  }
  if (same.find(" and ") != same.npos)
    throw Error(OPW_E_ARGUMENT,
                file + " has " + same + ", expected one op of that name; ask for it with its namespace");
  if (const opw_op_t *found = library->api->find(ns.c_str(), local.c_str(), version))
    return {found, library->api};
  throw Error(OPW_E_ARGUMENT, file + " has no op '" + std::string(name) + "'" +
                                  (version ? " of version " + std::to_string(version) : "") + "; it has " +
                                  (all.empty() ? "none" : all));
}

} // namespace opwright
#endif
