#include "package/tables_source.h"

#include "package/c_text.h"
#include "package/names.h"

#include <cctype>
#include <set>

namespace opw::package {
namespace {

using c::comment;
using c::enumerator;
using c::Family;
using c::Fields;
using c::literal;

// Every member is printed below. A struct that grows must grow here too.
static_assert(sizeof(opw_tables_t) == 120 && sizeof(opw_op_t) == 320 && sizeof(opw_io_t) == 56 &&
              sizeof(opw_seg_t) == 32 && sizeof(opw_attr_t) == 56 && sizeof(opw_attr_value_t) == 16 &&
              sizeof(opw_size_t) == 48 && sizeof(opw_program_t) == 16 && sizeof(opw_insn_t) == 8 &&
              sizeof(opw_typevar_t) == 16 && sizeof(opw_tactic_t) == 16 && sizeof(opw_tuned_t) == 16 &&
              sizeof(opw_plan_t) == 56 && sizeof(opw_launch_t) == 112 && sizeof(opw_arg_t) == 32 &&
              sizeof(opw_variant_t) == 40 && sizeof(opw_guard_t) == 8 && sizeof(opw_workspace_t) == 48 &&
              sizeof(opw_kernel_t) == 88 && sizeof(opw_cpu_image_t) == 48 && sizeof(opw_param_t) == 8);

struct Refusal {
  std::string what;
};

class Printer {
public:
  Printer(const opw_tables_t &tables, const Request &request, const std::vector<KernelObject> &objects)
      : tables(tables), request(request), objects(objects) {}

  std::string print() {
    if (tables.constant_count)
      throw Refusal{"baked tensors"};
    head();
    std::vector<std::string> ops, kernels;
    for (uint32_t k = 0; k < tables.kernel_count; ++k)
      kernels.push_back(kernel(*tables.kernels[k], k));
    for (uint32_t i = 0; i < tables.op_count; ++i)
      ops.push_back(op(*tables.ops[i], request.ops[i]));
    section("the library");
    std::vector<std::string> devices;
    for (uint32_t i = 0; i < tables.device_count; ++i)
      devices.push_back(literal(tables.devices[i]));
    std::string bytes;
    for (size_t i = 0; i < sizeof tables.hash; ++i)
      bytes += (i ? ", " : "") + std::to_string(tables.hash[i]);
    out += "static _Alignas(64) unsigned char state[" + std::to_string(tables.state_bytes) + "];\n";
    Fields f = table("opw_tables_t");
    f.count("abi_minor", tables.abi_minor).string("name", tables.name).string("producer", tables.producer);
    f.add("hash", "{" + bytes + "}");
    f.add("ops", pointers("opw_op_t", "ops", ops)).add("kernels", pointers("opw_kernel_t", "kernels", kernels));
    f.add("devices", strings("devices", devices));
    f.count("op_count", tables.op_count).count("kernel_count", tables.kernel_count);
    f.count("device_count", tables.device_count).add("state", "state").count("state_bytes", tables.state_bytes);
    out += "__attribute__((visibility(\"hidden\"))) const opw_tables_t opw_tables = " + f.lines() + ";\n";
    return out;
  }

private:
  const opw_tables_t &tables;
  const Request &request;
  const std::vector<KernelObject> &objects;
  std::string out;
  std::set<std::string> names{"state", "opw_tables"};

  void head() {
    out += comment("The tables of " + std::string(tables.name) + ", made by " + tables.producer +
                   ": the structs of opwright/plugin.h, filled in. What is 0 is left out.") +
           "\n#include <opwright/plugin.h>\n";
  }
  void section(const std::string &title) { out += "\n" + comment("---- " + title + " ----") + "\n\n"; }

  /// A name of C that is not taken yet.
  std::string fresh(const std::string &wish) {
    std::string base;
    for (char c : wish)
      base += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    std::string name = base;
    for (int n = 2; !names.insert(name).second; ++n)
      name = base + "_" + std::to_string(n);
    return name;
  }

  static Fields table(const std::string &type) { return Fields().add("struct_size", "sizeof(" + type + ")"); }

  std::string define(const std::string &type, const std::string &wish, const Fields &fields) {
    std::string name = fresh(wish);
    out += "static const " + type + " " + name + " = " + fields.lines() + ";\n";
    return name;
  }
  /// An array of structs or numbers; "" where it is empty.
  std::string array(const std::string &type, const std::string &wish, const std::vector<std::string> &items) {
    if (items.empty())
      return "";
    std::string name = fresh(wish), body;
    size_t width = 0;
    for (const std::string &item : items)
      width += item.size() + 2;
    for (size_t i = 0; i < items.size(); ++i)
      body += (width > 90 ? "\n    " : i ? " " : "") + items[i] + (i + 1 < items.size() ? "," : "");
    out += "static const " + type + " " + name + "[] = {" + body + "};\n";
    return name;
  }
  /// An array of pointers to tables that are defined already.
  std::string pointers(const std::string &type, const std::string &wish, const std::vector<std::string> &targets) {
    std::vector<std::string> items;
    for (const std::string &t : targets)
      items.push_back("&" + t);
    return array(type + " *const", wish, items);
  }
  std::string strings(const std::string &wish, const std::vector<std::string> &literals) {
    return array("char *const", wish, literals);
  }

  // ---- programs

  /// `text` is the expression that it was compiled from.
  std::string program(const opw_program_t &p, const std::string &wish, const std::string &text) {
    if (p.count == 0)
      return "";
    out += comment(text) + "\n";
    std::vector<std::string> code;
    for (uint32_t i = 0; i < p.count; ++i)
      code.push_back(Fields()
                         .add("op", enumerator(Family::Operation, p.code[i].op))
                         .count("element", p.code[i].element)
                         .count("b", p.code[i].b)
                         .number("imm", p.code[i].imm)
                         .braced());
    Fields f;
    f.add("code", array("opw_insn_t", wish, code)).count("count", p.count);
    return f.count("is_float", p.is_float).count("depth", p.depth).braced();
  }

  // ---- kernels

  const KernelObject &objectOf(uint32_t kernel, uint32_t level) const {
    for (const KernelObject &o : objects)
      if (o.kernel == request.kernels[kernel].id && levelByName(o.level) == level)
        return o;
    throw Refusal{"a kernel without an object"};
  }

  std::string kernel(const opw_kernel_t &k, uint32_t index) {
    if (k.cuda_count)
      throw Refusal{"kernels for CUDA"};
    const std::string &id = request.kernels[index].id;
    section("kernel " + id);
    std::vector<std::string> images;
    for (uint32_t i = 0; i < k.cpu_count; ++i) {
      const opw_cpu_image_t &image = *k.cpu[i];
      const KernelObject &object = objectOf(index, image.level);
      out += "__attribute__((visibility(\"hidden\"))) int32_t " + object.entry +
             "(const opw_cpu_args_t *, int64_t, int64_t, opw_cpu_scratch_t *);\n";
      std::vector<std::string> params;
      for (uint32_t p = 0; p < image.param_count; ++p) {
        const opw_param_t &param = image.params[p];
        params.push_back(Fields()
                             .add("kind", enumerator(Family::Param, param.kind))
                             .add("dtype", param.dtype ? c::dtype(param.dtype) : "")
                             .count("rank", param.rank)
                             .count("desc", param.desc)
                             .count("offset", param.offset)
                             .braced());
      }
      std::string wish = "kernel_" + id + "_" + object.level;
      Fields f = table("opw_cpu_image_t");
      f.add("level", enumerator(Family::Level, image.level)).add("entry", object.entry);
      f.add("params", array("opw_param_t", wish + "_params", params)).count("param_count", image.param_count);
      f.add("flags", image.flags == OPW_CPU_ORDERED ? "OPW_CPU_ORDERED"
                     : image.flags                  ? std::to_string(image.flags)
                                                    : "");
      f.count("scratch_bytes", image.scratch_bytes).number("grain", image.grain);
      images.push_back(define("opw_cpu_image_t", wish, f));
    }
    std::string bytes;
    for (size_t i = 0; i < sizeof k.hash; ++i)
      bytes += (i ? ", " : "") + std::to_string(k.hash[i]);
    Fields f = table("opw_kernel_t");
    f.count("line", k.line).string("name", k.name).string("file", k.file).string("signature", k.signature);
    f.add("hash", "{" + bytes + "}").add("cpu", pointers("opw_cpu_image_t", "kernel_" + id + "_cpu", images));
    return define("opw_kernel_t", "kernel_" + id, f.count("cpu_count", k.cpu_count));
  }

  // ---- ops

  std::string value(const opw_attr_value_t &v, const std::string &wish) {
    if (v.kind == OPW_ATTR_NONE)
      return "";
    std::vector<std::string> items;
    for (uint32_t i = 0; i < v.count; ++i) {
      if (v.kind == OPW_ATTR_INTS)
        items.push_back(c::integer(v.u.ints[i]));
      else if (v.kind == OPW_ATTR_FLOATS)
        items.push_back(c::real(v.u.floats[i]));
      else if (v.kind == OPW_ATTR_BOOLS || v.kind == OPW_ATTR_BYTES)
        items.push_back(std::to_string(v.u.bools[i]));
      else if (v.kind == OPW_ATTR_STRINGS)
        items.push_back(literal(v.u.strings[i]));
    }
    std::string u;
    switch (v.kind) {
    case OPW_ATTR_FLOAT:
      u = ".f = " + c::real(v.u.f);
      break;
    case OPW_ATTR_STRING:
      u = ".s = " + literal(v.u.s);
      break;
    case OPW_ATTR_INTS:
      u = items.empty() ? "" : ".ints = " + array("int64_t", wish, items);
      break;
    case OPW_ATTR_FLOATS:
      u = items.empty() ? "" : ".floats = " + array("double", wish, items);
      break;
    case OPW_ATTR_BOOLS:
      u = items.empty() ? "" : ".bools = " + array("uint8_t", wish, items);
      break;
    case OPW_ATTR_STRINGS:
      u = items.empty() ? "" : ".strings = " + strings(wish, items);
      break;
    case OPW_ATTR_BYTES:
      u = items.empty() ? "" : ".bytes = " + array("uint8_t", wish, items);
      break;
    case OPW_ATTR_TENSOR:
      throw Refusal{"defaults that are tensors"};
    default:
      u = v.u.i ? ".i = " + c::integer(v.u.i) : "";
    }
    Fields f;
    f.add("kind", enumerator(Family::Attr, v.kind)).count("count", v.count);
    return f.add("u", u.empty() ? "" : "{" + u + "}").braced();
  }

  std::string attr(const opw_attr_t &a, const std::string &wish) {
    std::vector<std::string> choices;
    for (uint32_t i = 0; i < a.choice_count; ++i)
      choices.push_back(literal(a.choices[i]));
    Fields f = table("opw_attr_t");
    f.add("kind", enumerator(Family::Attr, a.kind)).string("name", a.name).string("doc", a.doc);
    f.add("fallback", value(a.fallback, wish + "_default")).add("choices", strings(wish + "_choices", choices));
    return define("opw_attr_t", wish, f.count("choice_count", a.choice_count).count("list_length", a.list_length));
  }

  std::string io(const opw_io_t &t, const std::string &wish, const IoRequest &source) {
    std::vector<std::string> segs;
    for (uint32_t i = 0; i < t.seg_count; ++i) {
      const opw_seg_t &s = t.segs[i];
      Fields f;
      f.add("kind", enumerator(Family::Segment, s.kind)).count("index", s.index);
      f.number("from", s.from).number("to", s.to);
      segs.push_back(f.add("dim", program(s.dim, wish + "_dim" + std::to_string(i), source.shape[i])).braced());
    }
    Fields f = table("opw_io_t");
    f.add("flags", c::flags(Family::IoFlag, t.flags)).string("name", t.name).string("doc", t.doc);
    f.count("typevar", t.typevar).number("alias", t.alias);
    f.count("rank_min", t.rank_min).count("rank_max", t.rank_max).count("align", t.align);
    f.count("variadic_min", t.variadic_min).count("seg_count", t.seg_count);
    f.add("segs", array("opw_seg_t", wish + "_shape", segs)).count("formats", t.formats);
    return define("opw_io_t", wish, f);
  }

  std::string size(const opw_size_t &s, const std::string &wish, const SizeRequest &source) {
    Fields f = table("opw_size_t").count("output", s.output).string("name", s.name);
    f.add("upper", program(s.upper, wish + "_upper", source.upper));
    return define("opw_size_t", wish, f.add("typical", program(s.typical, wish + "_typical", source.typical)));
  }

  std::string typevar(const opw_typevar_t &t, const std::string &wish) {
    std::string allowed;
    for (uint8_t d = 0; d < 32; ++d)
      if (t.allowed >> d & 1)
        allowed += (allowed.empty() ? "" : " | ") + ("1u << " + (d <= OPW_F8E8M0 ? c::dtype(d) : std::to_string(d)));
    return define("opw_typevar_t", wish, table("opw_typevar_t").add("allowed", allowed).string("name", t.name));
  }

  std::string launch(const opw_launch_t &l, const std::string &wish, const LaunchRequest &source) {
    std::vector<std::string> args, variants;
    for (uint32_t i = 0; i < l.arg_count; ++i) {
      const opw_arg_t &a = l.args[i];
      if (a.kind == OPW_ARG_DESCRIPTOR || a.kind == OPW_ARG_CONSTANT)
        throw Refusal{"descriptors and baked tensors as arguments"};
      Fields f;
      f.add("kind", enumerator(Family::Argument, a.kind)).count("axis", a.axis).count("tensor", a.tensor);
      f.count("index", a.index).add("program", program(a.program, wish + "_arg" + std::to_string(i), source.args[i]));
      args.push_back(f.braced());
    }
    for (uint32_t i = 0; i < l.variant_count; ++i) {
      const opw_variant_t &v = l.variants[i];
      std::string name = wish + "_variant" + std::to_string(i);
      std::vector<std::string> guards;
      for (uint32_t g = 0; g < v.guard_count; ++g)
        guards.push_back(Fields()
                             .add("kind", enumerator(Family::Guard, v.guards[g].kind))
                             .count("arg", v.guards[g].arg)
                             .number("value", v.guards[g].value)
                             .braced());
      Fields f;
      f.add("guards", array("opw_guard_t", name + "_guards", guards)).count("guard_count", v.guard_count);
      f.count("kernel", v.kernel)
          .add("when", program(v.when, name + "_when", source.variants[i].when))
          .string("reason", v.reason);
      variants.push_back(f.braced() + " " + comment(request.kernels[v.kernel].id));
    }
    Fields f = table("opw_launch_t");
    f.add("kind", enumerator(Family::Launch, l.kind)).count("phase", l.phase);
    f.count("fill_tensor", l.fill_tensor).count("fill_byte", l.fill_byte).count("arg_count", l.arg_count);
    f.add("args", array("opw_arg_t", wish + "_args", args));
    f.add("variants", array("opw_variant_t", wish + "_variants", variants)).count("variant_count", l.variant_count);
    f.add("when", program(l.when, wish + "_when", source.when));
    std::string grid;
    for (size_t axis = 0; axis < 3; ++axis) {
      std::string text = axis < source.grid.size() ? source.grid[axis] : "";
      std::string p = program(l.grid[axis], wish + "_grid_" + "xyz"[axis], text);
      grid += (axis ? ", " : "") + (p.empty() ? "{0}" : p);
    }
    return define("opw_launch_t", wish, f.add("grid", "{" + grid + "}"));
  }

  std::string workspace(const opw_workspace_t &w, const std::string &wish, const WorkspaceRequest &source) {
    Fields f = table("opw_workspace_t");
    f.count("align", w.align).add("dtype", c::dtype(w.dtype));
    f.add("elements", program(w.elements, wish + "_elements", source.elements));
    f.add("upper", program(w.upper, wish + "_upper", source.upper));
    return define("opw_workspace_t", wish, f);
  }

  std::string plan(const opw_plan_t &p, const std::string &wish, const PlanRequest &source) {
    Fields f = table("opw_plan_t");
    std::vector<std::string> launches, buffers;
    for (uint32_t i = 0; i < p.launch_count; ++i)
      launches.push_back(launch(*p.launches[i], wish + "_launch" + std::to_string(i), source.launches[i]));
    for (uint32_t i = 0; i < p.workspace_count; ++i)
      buffers.push_back(workspace(*p.workspace[i], wish + "_workspace" + std::to_string(i), source.workspace[i]));
    f.count("launch_count", p.launch_count).add("launches", pointers("opw_launch_t", wish + "_launches", launches));
    f.add("workspace", pointers("opw_workspace_t", wish + "_workspaces", buffers));
    f.count("workspace_count", p.workspace_count).add("valid", program(p.valid, wish + "_valid", source.valid));
    return define("opw_plan_t", wish, f.string("valid_text", p.valid_text));
  }

  /// Tables of one kind: each printed by `one`, which gets its number, then the array of pointers to them.
  template <typename T, typename Print>
  std::string each(const char *type, const T *const *list, uint32_t count, const std::string &wish, Print one) {
    std::vector<std::string> defined;
    for (uint32_t i = 0; i < count; ++i)
      defined.push_back(one(*list[i], wish + std::to_string(i), i));
    return pointers(type, wish + "s", defined);
  }

  template <typename T, typename Print>
  std::string row(const char *type, const T *list, size_t count, const std::string &wish, Print one) {
    std::vector<std::string> items;
    for (size_t i = 0; i < count; ++i)
      items.push_back(one(list[i]));
    return array(type, wish, items);
  }

  std::string op(const opw_op_t &o, const OpRequest &source) {
    section(std::string("op ") + o.ns + "::" + o.name);
    const std::string wish = o.name;
    Fields f = table("opw_op_t");
    f.add("flags", c::flags(Family::OpFlag, o.flags)).count("min_minor", o.min_minor);
    f.add("version", std::to_string(o.version)).string("ns", o.ns).string("name", o.name).string("doc", o.doc);
    using Name = const std::string &;
    f.add("typevars", each("opw_typevar_t", o.typevars, o.typevar_count, wish + "_type",
                           [&](const opw_typevar_t &t, Name n, uint32_t) { return typevar(t, n); }));
    f.add("inputs", each("opw_io_t", o.inputs, o.input_count, wish + "_input",
                         [&](const opw_io_t &t, Name n, uint32_t i) { return io(t, n, source.inputs[i]); }));
    f.add("outputs", each("opw_io_t", o.outputs, o.output_count, wish + "_output",
                          [&](const opw_io_t &t, Name n, uint32_t i) { return io(t, n, source.outputs[i]); }));
    f.add("attrs", each("opw_attr_t", o.attrs, o.attr_count, wish + "_attr",
                        [&](const opw_attr_t &a, Name n, uint32_t) { return attr(a, n); }));
    f.add("sizes", each("opw_size_t", o.sizes, o.size_count, wish + "_size",
                        [&](const opw_size_t &s, Name n, uint32_t i) { return size(s, n, source.sizes[i]); }));
    std::vector<std::string> vars;
    for (uint32_t i = 0; i < o.var_count; ++i)
      vars.push_back(
          program(o.vars[i], wish + "_var" + std::to_string(i), source.vars[i].first + " = " + source.vars[i].second));
    f.add("vars", array("opw_program_t", wish + "_vars", vars));
    f.add("combos", row("uint8_t", o.combos, size_t{o.combo_count} * o.typevar_count, wish + "_combos",
                        [](uint8_t d) { return c::dtype(d); }));
    f.add("tactics", each("opw_tactic_t", o.tactics, o.tactic_count, wish + "_tactic",
                          [&](const opw_tactic_t &t, Name n, uint32_t) {
                            Fields g = table("opw_tactic_t").add("id", std::to_string(t.id)).string("text", t.text);
                            return define("opw_tactic_t", n, g);
                          }));
    f.add("plans", each("opw_plan_t", o.plans, o.plan_count, wish + "_plan",
                        [&](const opw_plan_t &p, Name n, uint32_t i) { return plan(p, n, source.plans[i]); }));
    f.add("plan_index", row("uint16_t", o.plan_index, size_t{o.combo_count} * 2 * o.tactic_count, wish + "_plan_index",
                            [](uint16_t i) { return i == OPW_NO_PLAN ? "OPW_NO_PLAN" : std::to_string(i); }));
    f.add("tuned", row("opw_tuned_t", o.tuned, o.tuned_count, wish + "_tuned", [](const opw_tuned_t &t) {
            Fields g;
            g.count("device", t.device).count("combo", t.combo).count("tactic", t.tactic);
            std::string key;
            for (uint16_t k : t.key)
              key += (key.empty() ? "" : ", ") + std::to_string(k);
            return g.add("key", "{" + key + "}").braced();
          }));
    f.add("pool_i", row("int64_t", o.pool_i, o.pool_i_count, wish + "_integers", c::integer));
    f.add("pool_f", row("double", o.pool_f, o.pool_f_count, wish + "_reals", c::real));
    f.count("typevar_count", o.typevar_count).count("input_count", o.input_count);
    f.count("output_count", o.output_count).count("attr_count", o.attr_count).count("size_count", o.size_count);
    f.count("var_count", o.var_count).count("combo_count", o.combo_count).count("tactic_count", o.tactic_count);
    f.count("plan_count", o.plan_count).count("tuned_count", o.tuned_count);
    f.count("pool_i_count", o.pool_i_count).count("pool_f_count", o.pool_f_count);
    std::string keys;
    bool tuned = false;
    for (int k = 0; k < 4; ++k) {
      std::string p = program(o.tune_keys[k], wish + "_tune_key" + std::to_string(k), "tune key");
      tuned |= !p.empty();
      keys += (k ? ", " : "") + (p.empty() ? "{0}" : p);
    }
    f.add("tune_keys", tuned ? "{" + keys + "}" : "");
    f.add("flops", program(o.flops, wish + "_flops", source.flops));
    f.add("bytes", program(o.bytes, wish + "_bytes", source.bytes));
    f.add("valid", program(o.valid, wish + "_valid", source.valid)).string("valid_text", o.valid_text);
    f.string("extra_json", o.extra_json);
    return define("opw_op_t", "op_" + wish, f);
  }
};

} // namespace

Result<std::string> tablesSource(const opw_tables_t &tables, const Request &request,
                                 const std::vector<KernelObject> &objects) {
  try {
    return Printer(tables, request, objects).print();
  } catch (const Refusal &refusal) {
    Diagnostic d;
    d.message = "the sources of this plugin would need " + refusal.what + ", which are not written as C yet";
    d.hint = "build it without --emit-sources";
    return d;
  }
}

} // namespace opw::package
