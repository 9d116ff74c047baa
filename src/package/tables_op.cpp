#include "package/tables_op.h"

#include "package/names.h"
#include "package/tables.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

namespace opw::package {
namespace {

constexpr uint32_t kMostAlign = 32768; // opw_io_t has 16 bits for it

std::string joined(const std::vector<std::string> &names) {
  std::string out;
  for (const std::string &name : names)
    out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

/// "arg 0..4 % 16 == 0" and the like, one guard per argument named.
std::vector<opw_guard_t> parseGuard(const std::string &op, const std::string &text) {
  int from = -1, to = -1, value = 0, used = 0;
  std::string rest = text;
  if (std::sscanf(text.c_str(), " arg %d..%d %n", &from, &to, &used) == 2 && used > 0)
    rest = text.substr(static_cast<size_t>(used));
  else if (used = 0, std::sscanf(text.c_str(), " arg %d %n", &from, &used) == 1 && used > 0) {
    to = from;
    rest = text.substr(static_cast<size_t>(used));
  }
  uint8_t kind = 0;
  auto is = [&](const char *format, uint8_t k) {
    int end = 0;
    if (kind == 0 && std::sscanf(rest.c_str(), format, &value, &end) == 1 && end == static_cast<int>(rest.size()))
      kind = k;
  };
  is("%% %d == 0%n", OPW_GUARD_DIVISIBLE);
  is("== %d%n", OPW_GUARD_EQUAL);
  is(">= %d%n", OPW_GUARD_AT_LEAST);
  is("<= %d%n", OPW_GUARD_AT_MOST);
  if (rest == "null" || rest == "set") {
    kind = rest == "null" ? OPW_GUARD_NULL : OPW_GUARD_SET;
    value = 0;
  }
  if (kind == 0 || from < 0 || to < from || (kind == OPW_GUARD_DIVISIBLE && value <= 0))
    refuse(op, "found the guard '" + text + "'",
           "expected 'arg N % 16 == 0', 'arg N..M % 16 == 0', 'arg N == 1', 'arg N >= 1', 'arg N <= 1', 'arg N null' "
           "or 'arg N set'");
  std::vector<opw_guard_t> guards;
  for (int i = from; i <= to; ++i)
    guards.push_back({kind, 0, static_cast<uint16_t>(i), value});
  return guards;
}

class OpFiller {
public:
  OpFiller(Arena &arena, const Request &request, const OpRequest &source,
           const std::map<std::string, uint32_t> &kernels)
      : arena(arena), request(request), source(source), kernels(kernels), name(fullName(request, source)),
        ns(source.ns.empty() ? request.ns : source.ns) {}

  opw_op_t *fill() {
    op = arena.make<opw_op_t>();
    op->struct_size = sizeof *op;
    op->version = source.version;
    arena.point(op->ns, arena.text(ns));
    arena.point(op->name, arena.text(source.name));
    if (!source.doc.empty())
      arena.point(op->doc, arena.text(source.doc));
    if (!source.extra.empty())
      arena.point(op->extra_json, arena.text(source.extra));
    checkNames();
    fillTypes();
    fillAttrs();
    inputScope();
    fillVars();
    fillSizes();
    fillIos();
    fillTactics();
    fillPlans();
    fillPrograms();
    fillPools();
    return op;
  }

private:
  Arena &arena;
  const Request &request;
  const OpRequest &source;
  const std::map<std::string, uint32_t> &kernels;
  std::string name, ns;
  opw_op_t *op = nullptr;
  Scope scope; ///< inputs, attributes, vars so far, sizes
  Pools pools;
  std::vector<std::string> typevarNames;
  std::vector<std::vector<uint8_t>> combos;

  [[noreturn]] void no(std::string message, std::string hint = {}) const {
    refuse(name, std::move(message), std::move(hint));
  }

  template <typename T> T *table() {
    T *t = arena.make<T>();
    t->struct_size = sizeof(T);
    return t;
  }
  /// An array of pointers to tables.
  template <typename T> void list(const T *const *&field, uint32_t &count, const std::vector<T *> &tables) {
    count = static_cast<uint32_t>(tables.size());
    if (tables.empty())
      return;
    const T **array = arena.make<const T *>(tables.size());
    for (size_t i = 0; i < tables.size(); ++i)
      arena.point(array[i], static_cast<const T *>(tables[i]));
    arena.point(field, static_cast<const T *const *>(array));
  }

  opw_program_t *store(opw_program_t *field, const Program &program) {
    arena.point(field->code, arena.copy(program.code));
    field->count = static_cast<uint32_t>(program.code.size());
    field->is_float = program.isFloat;
    field->depth = program.depth;
    return field;
  }
  void integer(opw_program_t *field, const std::string &text, const Scope &in, const std::string &what) {
    if (!text.empty())
      store(field, take(compileInteger(text, in, pools, what + " of " + name)));
  }

  void checkNames() const {
    if (!isIdentifier(source.name) || !isIdentifier(ns))
      no("the name '" + ns + "::" + source.name + "' of the op, expected letters, digits and '_'");
    std::set<std::string> seen;
    auto note = [&](const std::string &what, const std::string &n) {
      if (!isIdentifier(n))
        no("the " + what + " '" + n + "', expected letters, digits and '_'");
      if (!seen.insert(n).second)
        no("the name '" + n + "' is there twice");
    };
    for (const IoRequest &io : source.inputs)
      note("input", io.name);
    for (const IoRequest &io : source.outputs)
      note("output", io.name);
    for (const AttrRequest &a : source.attrs)
      note("attribute", a.name);
    for (const auto &var : source.vars)
      note("var", var.first);
    for (const SizeRequest &s : source.sizes)
      note("size", s.name);
    if (source.outputs.empty())
      no("the op has no outputs", "declare one");
  }

  uint8_t dtype(const std::string &text, const std::string &of) const {
    std::optional<uint8_t> d = dtypeByName(text);
    if (!d)
      no("the element type '" + text + "' of " + of, "expected one of " + dtypeNames());
    return *d;
  }

  // ---- element types

  void fillTypes() {
    std::vector<opw_typevar_t *> typevars;
    std::vector<uint8_t> single; // the only type of a typevar, or 0
    auto add = [&](const std::string &n, uint32_t allowed, uint8_t only) {
      opw_typevar_t *t = table<opw_typevar_t>();
      t->allowed = allowed;
      arena.point(t->name, arena.text(n));
      typevars.push_back(t);
      typevarNames.push_back(n);
      single.push_back(only);
    };
    for (const TypevarRequest &t : source.typevars) {
      uint32_t allowed = 0;
      for (const std::string &type : t.types)
        allowed |= 1u << dtype(type, "typevar " + t.name);
      if (allowed == 0)
        no("typevar " + t.name + " allows no element type");
      add(t.name, allowed, t.types.size() == 1 ? dtype(t.types[0], t.name) : uint8_t{0});
    }
    size_t declared = typevars.size();
    for (const auto *ios : {&source.inputs, &source.outputs})
      for (const IoRequest &io : *ios)
        if (std::find(typevarNames.begin(), typevarNames.end(), io.type) == typevarNames.end()) {
          uint8_t d = dtype(io.type, io.name);
          add(io.type, 1u << d, d);
        }
    list(op->typevars, op->typevar_count, typevars);

    std::vector<std::vector<std::string>> rows = source.combos;
    if (rows.empty()) {
      rows.emplace_back();
      for (size_t i = 0; i < declared; ++i) {
        if (single[i] == 0)
          no("typevar " + typevarNames[i] + " allows several element types, but there are no combos");
        rows[0].push_back(dtypeName(single[i]));
      }
    }
    std::vector<uint8_t> flat;
    for (const std::vector<std::string> &row : rows) {
      if (row.size() != declared)
        no("a combination has " + std::to_string(row.size()) + " element types, expected " + std::to_string(declared));
      std::vector<uint8_t> types;
      for (size_t i = 0; i < declared; ++i) {
        types.push_back(dtype(row[i], "a combination"));
        if (!(typevars[i]->allowed >> types.back() & 1))
          no("a combination has " + row[i] + " for typevar " + typevarNames[i] + ", which does not allow it");
      }
      types.insert(types.end(), single.begin() + static_cast<ptrdiff_t>(declared), single.end());
      flat.insert(flat.end(), types.begin(), types.end());
      combos.push_back(std::move(types));
    }
    arena.point(op->combos, arena.copy(flat));
    op->combo_count = static_cast<uint32_t>(combos.size());
  }

  uint16_t typevarOf(const std::string &type) const {
    return static_cast<uint16_t>(std::find(typevarNames.begin(), typevarNames.end(), type) - typevarNames.begin());
  }

  // ---- attributes

  const char *const *texts(const std::vector<std::string> &values) {
    const char **array = arena.make<const char *>(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      arena.point(array[i], arena.text(values[i]));
    return array;
  }

  void fillAttrs() {
    std::vector<opw_attr_t *> attrs;
    for (const AttrRequest &a : source.attrs) {
      std::optional<uint32_t> kind = attrKindByName(a.kind);
      if (!kind)
        no("the kind '" + a.kind + "' of attribute " + a.name,
           "expected int, float, bool, string, ints, floats, bools, strings, enum or dtype");
      opw_attr_t *t = table<opw_attr_t>();
      t->kind = *kind;
      t->list_length = a.listLength;
      arena.point(t->name, arena.text(a.name));
      if (!a.doc.empty())
        arena.point(t->doc, arena.text(a.doc));
      if (*kind == OPW_ATTR_ENUM) {
        if (a.choices.empty())
          no("attribute " + a.name + " is an enum without choices");
        arena.point(t->choices, texts(a.choices));
        t->choice_count = static_cast<uint32_t>(a.choices.size());
      }
      fillDefault(t, a);
      scope.attrs.push_back({a.name, static_cast<uint16_t>(attrs.size()), *kind});
      attrs.push_back(t);
    }
    list(op->attrs, op->attr_count, attrs);
  }

  void fillDefault(opw_attr_t *t, const AttrRequest &a) {
    if (std::holds_alternative<std::monostate>(a.fallback))
      return;
    opw_attr_value_t &v = t->fallback;
    v.kind = t->kind;
    const AttrDefault &d = a.fallback;
    const auto *i = std::get_if<int64_t>(&d);
    const auto *f = std::get_if<double>(&d);
    const auto *b = std::get_if<bool>(&d);
    const auto *s = std::get_if<std::string>(&d);
    const auto *is = std::get_if<std::vector<int64_t>>(&d);
    const auto *fs = std::get_if<std::vector<double>>(&d);
    const auto *ss = std::get_if<std::vector<std::string>>(&d);
    auto count = [&](size_t n) {
      v.count = static_cast<uint32_t>(n);
      return true;
    };
    bool fits = false;
    switch (t->kind) {
    case OPW_ATTR_INT:
      fits = i != nullptr;
      v.u.i = i ? *i : 0;
      break;
    case OPW_ATTR_BOOL:
      fits = b != nullptr;
      v.u.i = b ? *b : 0;
      break;
    case OPW_ATTR_FLOAT:
      fits = f || i;
      v.u.f = f ? *f : i ? static_cast<double>(*i) : 0;
      break;
    case OPW_ATTR_STRING:
      if ((fits = s != nullptr) && count(s->size()))
        arena.point(v.u.s, arena.text(*s));
      break;
    case OPW_ATTR_ENUM:
      if (s) {
        auto it = std::find(a.choices.begin(), a.choices.end(), *s);
        fits = it != a.choices.end();
        v.u.i = it - a.choices.begin();
      }
      break;
    case OPW_ATTR_DTYPE:
      fits = s != nullptr;
      v.u.i = s ? dtype(*s, "attribute " + a.name) : 0;
      break;
    case OPW_ATTR_INTS:
      if ((fits = is != nullptr) && count(is->size()))
        arena.point(v.u.ints, arena.copy(*is));
      break;
    case OPW_ATTR_BOOLS:
      if ((fits = is != nullptr) && count(is->size()))
        arena.point(v.u.bools, arena.copy(std::vector<uint8_t>(is->begin(), is->end())));
      break;
    case OPW_ATTR_BYTES:
      fits = is && std::all_of(is->begin(), is->end(), [](int64_t byte) { return byte >= 0 && byte < 256; });
      if (fits && count(is->size()))
        arena.point(v.u.bytes, static_cast<const void *>(arena.copy(std::vector<uint8_t>(is->begin(), is->end()))));
      break;
    case OPW_ATTR_FLOATS:
      if ((fits = fs || is) && count(fs ? fs->size() : is->size()))
        arena.point(v.u.floats, arena.copy(fs ? *fs : std::vector<double>(is->begin(), is->end())));
      break;
    case OPW_ATTR_STRINGS:
      if ((fits = ss || (is && is->empty())) && count(ss ? ss->size() : 0) && ss)
        arena.point(v.u.strings, texts(*ss));
      break;
    default:
      break;
    }
    if (!fits)
      no("the default of attribute " + a.name + " is no " + a.kind);
  }

  // ---- names of programs

  char valueKind(const IoRequest &io) const {
    char kind = 0;
    for (const std::vector<uint8_t> &row : combos) {
      char k = dtypeKind(row[typevarOf(io.type)]) == 'f' ? 'F' : 'I';
      if (kind != 0 && kind != k)
        return 0;
      kind = k;
    }
    return kind;
  }

  void inputScope() {
    for (const IoRequest &io : source.inputs)
      scope.tensors.push_back(
          {io.name, static_cast<uint16_t>(scope.tensors.size()), io.variadic, io.host, io.host ? valueKind(io) : '\0'});
  }

  void fillVars() {
    opw_program_t *vars = arena.make<opw_program_t>(source.vars.size());
    for (size_t i = 0; i < source.vars.size(); ++i) {
      const auto &[var, text] = source.vars[i];
      Program program = take(compileExpression(text, scope, pools, "var " + var + " of " + name));
      store(&vars[i], program);
      scope.vars.push_back({var, static_cast<uint16_t>(i), program.isFloat});
    }
    arena.point(op->vars, static_cast<const opw_program_t *>(vars));
    op->var_count = static_cast<uint32_t>(source.vars.size());
  }

  void fillSizes() {
    std::vector<opw_size_t *> sizes;
    for (const SizeRequest &s : source.sizes) {
      opw_size_t *t = table<opw_size_t>();
      auto it = std::find_if(source.outputs.begin(), source.outputs.end(),
                             [&](const IoRequest &o) { return o.name == s.output; });
      if (it == source.outputs.end() || !it->size)
        no("size " + s.name + " is in '" + s.output + "', expected an output with \"size\"");
      t->output = static_cast<uint32_t>(it - source.outputs.begin());
      arena.point(t->name, arena.text(s.name));
      integer(&t->upper, s.upper, scope, "the bound of size " + s.name);
      integer(&t->typical, s.typical, scope, "the typical value of size " + s.name);
      scope.sizes.push_back({s.name, static_cast<uint16_t>(sizes.size()), false});
      sizes.push_back(t);
    }
    list(op->sizes, op->size_count, sizes);
    if (!sizes.empty())
      op->flags |= OPW_OP_DATA_DEPENDENT;
  }

  // ---- inputs and outputs

  opw_io_t *io(const IoRequest &r, bool last) {
    if (r.rankMin > r.rankMax || r.rankMax > OPW_MAX_RANK)
      no(r.name + " has rank " + std::to_string(r.rankMin) + " to " + std::to_string(r.rankMax) + ", expected 0 to 16");
    if (r.variadic && !last)
      no(r.name + " is variadic, expected the last one only");
    opw_io_t *t = table<opw_io_t>();
    arena.point(t->name, arena.text(r.name));
    if (!r.doc.empty())
      arena.point(t->doc, arena.text(r.doc));
    auto flag = [&](bool set, uint32_t bit) { t->flags |= set ? bit : 0; };
    flag(r.optional, OPW_IO_OPTIONAL);
    flag(r.variadic, OPW_IO_VARIADIC);
    flag(r.host, OPW_IO_HOST);
    flag(r.strided, OPW_IO_STRIDED);
    flag(r.size, OPW_IO_SIZE);
    flag(r.compact, OPW_IO_COMPACT);
    flag(r.inplace, OPW_IO_INPLACE);
    t->typevar = typevarOf(r.type);
    t->alias = -1;
    t->rank_min = static_cast<uint8_t>(r.rankMin);
    t->rank_max = static_cast<uint8_t>(r.rankMax);
    if (r.align > kMostAlign || (r.align & (r.align - 1)) != 0)
      no(r.name + " is aligned to " + std::to_string(r.align) + ", expected a power of two up to " +
         std::to_string(kMostAlign));
    t->align = static_cast<uint16_t>(r.align);
    t->variadic_min = r.variadicMin;
    return t;
  }

  void fillIos() {
    std::vector<opw_io_t *> inputs, outputs;
    for (const IoRequest &r : source.inputs)
      inputs.push_back(io(r, &r == &source.inputs.back()));
    for (const IoRequest &r : source.outputs) {
      opw_io_t *t = io(r, &r == &source.outputs.back());
      fillAlias(t, r);
      opw_seg_t *segs = arena.make<opw_seg_t>(r.shape.size());
      for (size_t i = 0; i < r.shape.size(); ++i) {
        Segment s = take(compileSegment(r.shape[i], scope, pools,
                                        "size " + std::to_string(i) + " of output " + r.name + " of " + name));
        segs[i].kind = s.kind;
        segs[i].index = s.index;
        segs[i].from = s.kind == OPW_SEG_SLICE ? s.from : 0;
        segs[i].to = s.kind == OPW_SEG_SLICE ? s.to : 0;
        if (s.kind == OPW_SEG_DIM)
          store(&segs[i].dim, s.dim);
      }
      arena.point(t->segs, static_cast<const opw_seg_t *>(segs));
      t->seg_count = static_cast<uint32_t>(r.shape.size());
      outputs.push_back(t);
    }
    list(op->inputs, op->input_count, inputs);
    list(op->outputs, op->output_count, outputs);
  }

  void fillAlias(opw_io_t *t, const IoRequest &r) {
    if (r.alias.empty()) {
      if (r.inplace)
        no("output " + r.name + " is in place, expected an alias");
      return;
    }
    auto it =
        std::find_if(source.inputs.begin(), source.inputs.end(), [&](const IoRequest &i) { return i.name == r.alias; });
    if (it == source.inputs.end())
      no("output " + r.name + " is an alias of '" + r.alias + "', expected an input");
    t->alias = static_cast<int16_t>(it - source.inputs.begin());
    if (r.inplace)
      op->flags |= OPW_OP_MUTATES;
  }

  // ---- plans

  void fillTactics() {
    std::vector<opw_tactic_t *> tactics;
    std::vector<TacticRequest> requested = source.tactics;
    if (requested.empty())
      requested.push_back({1, ""});
    for (const TacticRequest &r : requested) {
      if (r.id <= 0)
        no("tactic " + std::to_string(r.id) + ", expected a number above 0");
      opw_tactic_t *t = table<opw_tactic_t>();
      t->id = r.id;
      arena.point(t->text, arena.text(r.text));
      tactics.push_back(t);
    }
    list(op->tactics, op->tactic_count, tactics);
  }

  void fillPlans() {
    if (combos.size() > OPW_MAX_COMBOS || combos.size() * op->tactic_count > OPW_MAX_CHOICES)
      no(std::to_string(combos.size()) + " combinations of element types and " + std::to_string(op->tactic_count) +
             " tactics, expected at most " + std::to_string(OPW_MAX_COMBOS) + " and " +
             std::to_string(OPW_MAX_CHOICES) + " of both",
         "make two ops of it");
    std::vector<uint16_t> index(combos.size() * 2 * op->tactic_count, OPW_NO_PLAN);
    std::vector<opw_plan_t *> plans;
    for (const PlanRequest &r : source.plans) {
      if (r.device != "cpu")
        no("a plan for the device '" + r.device + "', expected cpu", "other devices are not supported yet");
      uint32_t tactic = 0;
      while (tactic < op->tactic_count && op->tactics[tactic]->id != r.tactic)
        ++tactic;
      if (r.combo >= combos.size() || tactic == op->tactic_count)
        no("a plan for combination " + std::to_string(r.combo) + " and tactic " + std::to_string(r.tactic) +
           ", which are not declared");
      uint16_t &slot = index[(r.combo * 2) * op->tactic_count + tactic];
      if (slot != OPW_NO_PLAN)
        no("two plans for combination " + std::to_string(r.combo) + " and tactic " + std::to_string(r.tactic));
      slot = static_cast<uint16_t>(plans.size());
      plans.push_back(plan(r));
    }
    if (plans.empty())
      no("the op has no plans");
    list(op->plans, op->plan_count, plans);
    arena.point(op->plan_index, arena.copy(index));
  }

  opw_plan_t *plan(const PlanRequest &r) {
    opw_plan_t *t = table<opw_plan_t>();
    Scope all = scope;
    for (const IoRequest &o : source.outputs)
      all.tensors.push_back({o.name, static_cast<uint16_t>(all.tensors.size()), o.variadic, false, 0});
    std::map<std::string, uint16_t> pointers;
    for (const Scope::Tensor &tensor : all.tensors)
      pointers[tensor.name] = tensor.number;
    std::vector<opw_workspace_t *> workspace;
    for (const WorkspaceRequest &w : r.workspace) {
      opw_workspace_t *b = table<opw_workspace_t>();
      std::string n = w.name.empty() ? "ws" + std::to_string(workspace.size()) : w.name;
      if (!pointers.emplace(n, static_cast<uint16_t>(pointers.size())).second)
        no("the workspace buffer '" + n + "' has the name of a tensor");
      b->dtype = dtype(w.dtype, "workspace " + n);
      b->align = w.align;
      if (w.elements.empty())
        no("workspace " + n + " has no number of elements");
      integer(&b->elements, w.elements, scope, "workspace " + n);
      integer(&b->upper, w.upper, scope, "the bound of workspace " + n);
      workspace.push_back(b);
    }
    std::vector<opw_launch_t *> launches;
    for (const LaunchRequest &l : r.launches)
      launches.push_back(launch(l, all, pointers));
    list(t->workspace, t->workspace_count, workspace);
    list(t->launches, t->launch_count, launches);
    integer(&t->valid, r.valid, scope, "valid of a plan");
    if (!r.validText.empty())
      arena.point(t->valid_text, arena.text(r.validText));
    return t;
  }

  opw_launch_t *launch(const LaunchRequest &r, const Scope &all, const std::map<std::string, uint16_t> &pointers) {
    opw_launch_t *t = table<opw_launch_t>();
    t->phase = r.phase;
    integer(&t->when, r.when, all, "the condition of a launch");
    if (!r.fill.empty()) {
      t->kind = OPW_LAUNCH_FILL;
      t->fill_tensor = pointer(r.fill, pointers);
      t->fill_byte = r.fillByte;
      return t;
    }
    t->kind = OPW_LAUNCH_KERNEL;
    static const char *const kAxes[] = {"grid x", "grid y", "grid z"};
    if (r.grid.size() > 3)
      no("a grid of " + std::to_string(r.grid.size()) + " sizes, expected at most 3");
    for (size_t a = 0; a < r.grid.size(); ++a)
      if (r.grid[a] != "1") // as an absent one is
        integer(&t->grid[a], r.grid[a], all, kAxes[a]);
    opw_arg_t *args = arena.make<opw_arg_t>(r.args.size());
    for (size_t i = 0; i < r.args.size(); ++i)
      argument(&args[i], r.args[i], all, pointers);
    arena.point(t->args, static_cast<const opw_arg_t *>(args));
    t->arg_count = static_cast<uint32_t>(r.args.size());
    if (r.variants.empty())
      no("a launch has no variants");
    opw_variant_t *variants = arena.make<opw_variant_t>(r.variants.size());
    for (size_t i = 0; i < r.variants.size(); ++i)
      variant(&variants[i], r.variants[i], all, t->arg_count);
    arena.point(t->variants, static_cast<const opw_variant_t *>(variants));
    t->variant_count = static_cast<uint32_t>(r.variants.size());
    return t;
  }

  uint16_t pointer(const std::string &tensor, const std::map<std::string, uint16_t> &pointers) const {
    auto it = pointers.find(tensor);
    if (it == pointers.end()) {
      std::vector<std::string> known;
      for (const auto &entry : pointers)
        known.push_back(entry.first);
      no("found the pointer of '" + tensor + "', which is no tensor", "known: " + joined(known));
    }
    return it->second;
  }

  /// "x", or "xs[1]" of a variadic input.
  void tensorArgument(opw_arg_t *a, const std::string &text, const std::map<std::string, uint16_t> &pointers) const {
    size_t open = text.find('[');
    a->tensor = pointer(text.substr(0, open), pointers);
    if (open == text.npos)
      return;
    const char *end = text.data() + text.size();
    auto [at, error] = std::from_chars(text.data() + open + 1, end, a->index);
    bool variadic = a->tensor < source.inputs.size() && source.inputs[a->tensor].variadic;
    if (error != std::errc() || std::string_view(at, static_cast<size_t>(end - at)) != "]" || a->index > UINT8_MAX ||
        !variadic)
      no("the argument '" + text + "', expected a tensor, or a variadic input with a number, as in 'xs[1]'");
  }

  void argument(opw_arg_t *a, const std::string &text, const Scope &all,
                const std::map<std::string, uint16_t> &pointers) {
    size_t space = text.find(' ');
    std::string word = text.substr(0, space), rest = space == text.npos ? "" : text.substr(space + 1);
    if (word == "ptr") {
      a->kind = OPW_ARG_POINTER;
      tensorArgument(a, rest, pointers);
    } else if (word == "const") {
      auto it = std::find_if(request.constants.begin(), request.constants.end(),
                             [&](const ConstantRequest &c) { return c.id == rest; });
      if (it == request.constants.end())
        no("the argument '" + text + "', but there is no such constant");
      a->kind = OPW_ARG_CONSTANT;
      a->index = static_cast<uint32_t>(it - request.constants.begin());
    } else if (text == "null") {
      a->kind = OPW_ARG_NULL;
    } else if (word == "attr") {
      auto it =
          std::find_if(scope.attrs.begin(), scope.attrs.end(), [&](const Scope::Attr &x) { return x.name == rest; });
      if (it == scope.attrs.end())
        no("the argument '" + text + "', but there is no such attribute");
      a->kind = OPW_ARG_ATTR;
      a->index = it->index;
    } else if (word == "stride") {
      size_t dot = rest.find('.');
      int axis = -1;
      if (dot != rest.npos)
        std::from_chars(rest.data() + dot + 1, rest.data() + rest.size(), axis);
      if (axis < 0 || axis >= OPW_MAX_RANK)
        no("the argument '" + text + "', expected 'stride x.0'");
      a->kind = OPW_ARG_STRIDE;
      tensorArgument(a, rest.substr(0, dot), pointers);
      a->axis = static_cast<uint8_t>(axis);
    } else {
      a->kind = OPW_ARG_PROGRAM;
      store(&a->program,
            take(compileExpression(word == "var" ? rest : text, all, pools, "argument '" + text + "' of " + name)));
    }
  }

  void variant(opw_variant_t *v, const VariantRequest &r, const Scope &all, uint32_t argCount) {
    auto it = kernels.find(r.kernel);
    if (it == kernels.end())
      no("a variant runs kernel '" + r.kernel + "', which is not among the kernels");
    v->kernel = it->second;
    std::vector<opw_guard_t> guards;
    for (const std::string &text : r.guards)
      for (const opw_guard_t &g : parseGuard(name, text)) {
        if (g.arg >= argCount)
          no("the guard '" + text + "', but the launch has " + std::to_string(argCount) + " arguments");
        guards.push_back(g);
      }
    arena.point(v->guards, arena.copy(guards));
    v->guard_count = static_cast<uint32_t>(guards.size());
    integer(&v->when, r.when, all, "the condition of a variant");
    if (!r.reason.empty())
      arena.point(v->reason, arena.text(r.reason));
  }

  // ---- the rest

  void fillPrograms() {
    integer(&op->valid, source.valid, scope, "valid");
    if (!source.validText.empty())
      arena.point(op->valid_text, arena.text(source.validText));
    integer(&op->flops, source.flops, scope, "flops");
    integer(&op->bytes, source.bytes, scope, "bytes");
  }

  void fillPools() {
    arena.point(op->pool_i, arena.copy(pools.integers));
    op->pool_i_count = static_cast<uint32_t>(pools.integers.size());
    arena.point(op->pool_f, arena.copy(pools.floats));
    op->pool_f_count = static_cast<uint32_t>(pools.floats.size());
  }
};

} // namespace

void refuse(const std::string &op, std::string message, std::string hint) {
  Diagnostic d;
  d.op = op;
  d.message = "found " + std::move(message);
  if (d.message.starts_with("found found "))
    d.message.erase(0, 6);
  d.hint = std::move(hint);
  throw Refused{{std::move(d)}};
}

opw_op_t *fillOp(Arena &arena, const Request &request, const OpRequest &op,
                 const std::map<std::string, uint32_t> &kernels) {
  return OpFiller(arena, request, op, kernels).fill();
}

} // namespace opw::package
