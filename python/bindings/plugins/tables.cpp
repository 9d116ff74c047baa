// The tables of a library as dicts and lists, for inspect.py, loader.py and schemas.py: no Python code repeats the
// layout of plugin.h. Keys are the names of the header's members. An op whose tables are damaged has `error` instead of
// its content.
#include "plugins.h"

#include "core/dtype.h"
#include "core/instructions.h"

#include <cstring>
#include <dlfcn.h>

namespace opw::plugins {
namespace {

/// A dict that is filled member by member; what fails once stays failed.
class Dict {
public:
  Dict() : dict(PyDict_New()) {}
  Dict &add(const char *key, PyObject *value) { ///< takes the reference over
    if (!dict || !value || PyDict_SetItemString(dict.get(), key, value) < 0)
      dict = Ref();
    Py_XDECREF(value);
    return *this;
  }
  Dict &text(const char *key, const char *value) {
    return add(key, value ? PyUnicode_DecodeUTF8(value, static_cast<Py_ssize_t>(strlen(value)), "replace")
                          : Py_NewRef(Py_None));
  }
  Dict &number(const char *key, int64_t value) { return add(key, PyLong_FromLongLong(value)); }
  PyObject *release() { return dict.release(); }

private:
  Ref dict;
};

/// A list of `count` objects that make(i) gives.
template <typename Make> PyObject *listOf(uint32_t count, const Make &make) {
  Ref list(PyList_New(count));
  for (uint32_t i = 0; list && i < count; ++i) {
    PyObject *item = make(i);
    if (!item)
      return nullptr;
    PyList_SET_ITEM(list.get(), i, item);
  }
  return list.release();
}

PyObject *text(const char *value) { return PyUnicode_FromString(value ? value : ""); }
PyObject *dtype(uint8_t value) { return text(runtime::dtypeInfo(value).name); }

PyObject *hex(const uint8_t (&hash)[32]) {
  char digits[65];
  for (int i = 0; i < 32; ++i)
    snprintf(digits + 2 * i, 3, "%02x", hash[i]);
  return text(digits);
}

/// (name, b, imm, element) of each instruction; None for an absent program.
PyObject *program(const opw_program_t &p) {
  if (p.count == 0)
    return Py_NewRef(Py_None);
  return listOf(p.count, [&](uint32_t i) {
    return Py_BuildValue("(siii)", runtime::insnInfo(p.code[i].op).name, p.code[i].b, p.code[i].imm, p.code[i].element);
  });
}

PyObject *segment(const opw_seg_t &s) {
  return Dict()
      .number("kind", s.kind)
      .number("index", s.index)
      .number("from", s.from)
      .number("to", s.to)
      .add("dim", program(s.dim))
      .release();
}

PyObject *io(const opw_io_t &t) {
  return Dict()
      .text("name", t.name)
      .text("doc", t.doc)
      .number("flags", t.flags)
      .number("typevar", t.typevar)
      .number("alias", t.alias)
      .number("rank_min", t.rank_min)
      .number("rank_max", t.rank_max)
      .number("align", t.align)
      .number("variadic_min", t.variadic_min)
      .add("segs", listOf(t.seg_count, [&](uint32_t i) { return segment(t.segs[i]); }))
      .release();
}

PyObject *fallback(const opw_attr_t &a) {
  const opw_attr_value_t &v = a.fallback;
  switch (v.kind) {
  case OPW_ATTR_INT:
    return PyLong_FromLongLong(v.u.i);
  case OPW_ATTR_FLOAT:
    return PyFloat_FromDouble(v.u.f);
  case OPW_ATTR_BOOL:
    return PyBool_FromLong(v.u.i != 0);
  case OPW_ATTR_STRING:
    return PyUnicode_DecodeUTF8(v.u.s, v.count, "replace");
  case OPW_ATTR_BYTES:
    return PyBytes_FromStringAndSize(static_cast<const char *>(v.u.bytes), v.count);
  case OPW_ATTR_INTS:
    return listOf(v.count, [&](uint32_t i) { return PyLong_FromLongLong(v.u.ints[i]); });
  case OPW_ATTR_FLOATS:
    return listOf(v.count, [&](uint32_t i) { return PyFloat_FromDouble(v.u.floats[i]); });
  case OPW_ATTR_BOOLS:
    return listOf(v.count, [&](uint32_t i) { return PyBool_FromLong(v.u.bools[i]); });
  case OPW_ATTR_STRINGS:
    return listOf(v.count, [&](uint32_t i) { return text(v.u.strings[i]); });
  case OPW_ATTR_ENUM:
    return text(v.u.i >= 0 && v.u.i < a.choice_count ? a.choices[v.u.i] : nullptr);
  case OPW_ATTR_DTYPE:
    return dtype(static_cast<uint8_t>(v.u.i < 0 || v.u.i > 255 ? 0 : v.u.i));
  default:
    return Py_NewRef(Py_None);
  }
}

PyObject *attr(const opw_attr_t &a) {
  return Dict()
      .text("name", a.name)
      .text("doc", a.doc)
      .number("kind", a.kind)
      .add("required", PyBool_FromLong(a.fallback.kind == OPW_ATTR_NONE))
      .add("default", fallback(a))
      .add("choices", listOf(a.choice_count, [&](uint32_t i) { return text(a.choices[i]); }))
      .number("list_length", a.list_length)
      .release();
}

PyObject *argument(const opw_arg_t &a) {
  return Dict()
      .number("kind", a.kind)
      .number("tensor", a.tensor)
      .number("axis", a.axis)
      .number("index", a.index)
      .add("program", program(a.program))
      .release();
}

PyObject *variant(const opw_variant_t &v) {
  auto guard = [&](uint32_t i) { return Py_BuildValue("(iii)", v.guards[i].kind, v.guards[i].arg, v.guards[i].value); };
  return Dict()
      .number("kernel", v.kernel)
      .add("guards", listOf(v.guard_count, guard))
      .add("when", program(v.when))
      .text("reason", v.reason)
      .release();
}

PyObject *launch(const opw_launch_t &l) {
  return Dict()
      .number("kind", l.kind)
      .number("phase", l.phase)
      .number("fill_tensor", l.fill_tensor)
      .number("fill_byte", l.fill_byte)
      .add("args", listOf(l.arg_count, [&](uint32_t i) { return argument(l.args[i]); }))
      .add("variants", listOf(l.variant_count, [&](uint32_t i) { return variant(l.variants[i]); }))
      .add("when", program(l.when))
      .add("grid", listOf(3, [&](uint32_t i) { return program(l.grid[i]); }))
      .release();
}

PyObject *buffer(const opw_workspace_t &w) {
  return Dict()
      .add("dtype", dtype(w.dtype))
      .number("align", w.align)
      .add("elements", program(w.elements))
      .add("upper", program(w.upper))
      .release();
}

PyObject *plan(const opw_plan_t &p) {
  const bool hasCondition = p.struct_size >= sizeof p; // from ABI 0.2 on
  return Dict()
      .add("launches", listOf(p.launch_count, [&](uint32_t i) { return launch(*p.launches[i]); }))
      .add("workspace", listOf(p.workspace_count, [&](uint32_t i) { return buffer(*p.workspace[i]); }))
      .add("valid", program(hasCondition ? p.valid : opw_program_t{}))
      .text("valid_text", hasCondition ? p.valid_text : nullptr)
      .release();
}

PyObject *size(const opw_size_t &z) {
  return Dict()
      .text("name", z.name)
      .number("output", z.output)
      .add("upper", program(z.upper))
      .add("typical", program(z.typical))
      .release();
}

PyObject *content(const opw_op_t &op, Dict &d) {
  auto row = [&](uint32_t c) {
    return listOf(op.typevar_count, [&](uint32_t t) { return dtype(op.combos[c * op.typevar_count + t]); });
  };
  auto tactic = [&](uint32_t i) {
    return Py_BuildValue("(is)", op.tactics[i]->id, op.tactics[i]->text ? op.tactics[i]->text : "");
  };
  auto index = [&](uint32_t i) { return PyLong_FromLong(op.plan_index[i] == OPW_NO_PLAN ? -1 : op.plan_index[i]); };
  return d.number("flags", op.flags)
      .text("doc", op.doc)
      .add("typevars", listOf(op.typevar_count, [&](uint32_t i) { return text(op.typevars[i]->name); }))
      .add("combos", listOf(op.combo_count, row))
      .add("inputs", listOf(op.input_count, [&](uint32_t i) { return io(*op.inputs[i]); }))
      .add("outputs", listOf(op.output_count, [&](uint32_t i) { return io(*op.outputs[i]); }))
      .add("attrs", listOf(op.attr_count, [&](uint32_t i) { return attr(*op.attrs[i]); }))
      .add("sizes", listOf(op.size_count, [&](uint32_t i) { return size(*op.sizes[i]); }))
      .add("vars", listOf(op.var_count, [&](uint32_t i) { return program(op.vars[i]); }))
      .add("tactics", listOf(op.tactic_count, tactic))
      .add("plans", listOf(op.plan_count, [&](uint32_t i) { return plan(*op.plans[i]); }))
      .add("plan_index", listOf(op.combo_count * 2 * op.tactic_count, index))
      .add("pool_i", listOf(op.pool_i_count, [&](uint32_t i) { return PyLong_FromLongLong(op.pool_i[i]); }))
      .add("pool_f", listOf(op.pool_f_count, [&](uint32_t i) { return PyFloat_FromDouble(op.pool_f[i]); }))
      .number("tuned_count", op.tuned_count)
      .add("flops", program(op.flops))
      .add("bytes", program(op.bytes))
      .add("valid", program(op.valid))
      .text("valid_text", op.valid_text)
      .text("extra_json", op.extra_json)
      .release();
}

PyObject *operation(const opw_library_t &library, const opw_op_t *op) {
  char reason[512] = "";
  opw_error_t error{sizeof error, OPW_OK, reason, sizeof reason};
  Dict d;
  bool sound = library.api->check(op, &error) == OPW_OK;
  d.text("ns", op && op->ns ? op->ns : "?").text("name", op && op->name ? op->name : "?");
  d.number("version", op ? op->version : 0).text("error", sound ? nullptr : reason);
  return sound ? content(*op, d) : d.release();
}

/// Distance of a function from where its library is loaded: its address in the file.
int64_t offsetOf(const void *function) {
  Dl_info info{};
  return dladdr(function, &info) ? static_cast<const char *>(function) - static_cast<const char *>(info.dli_fbase) : 0;
}

PyObject *image(const opw_cpu_image_t &i) {
  auto param = [&](uint32_t p) {
    return Py_BuildValue("(is)", i.params[p].kind, runtime::dtypeInfo(i.params[p].dtype).name);
  };
  return Dict()
      .number("level", i.level)
      .number("offset", offsetOf(reinterpret_cast<void *>(i.entry)))
      .number("scratch_bytes", static_cast<int64_t>(i.scratch_bytes))
      .number("grain", i.grain)
      .number("flags", i.flags)
      .add("params", listOf(i.param_count, param))
      .release();
}

PyObject *kernel(const opw_kernel_t *k) {
  if (!k || k->struct_size < sizeof *k)
    return Py_NewRef(Py_None);
  return Dict()
      .text("name", k->name)
      .text("file", k->file)
      .number("line", k->line)
      .text("signature", k->signature)
      .add("hash", hex(k->hash))
      .add("cpu", listOf(k->cpu_count, [&](uint32_t i) { return image(*k->cpu[i]); }))
      .number("cuda_count", k->cuda_count)
      .release();
}

} // namespace

PyObject *describeTables(const opw_library_t &library) {
  const opw_tables_t &t = *library.tables;
  return Dict()
      .number("abi_major", library.abi_major)
      .number("abi_minor", library.abi_minor)
      .text("name", t.name ? t.name : "")
      .text("producer", t.producer ? t.producer : "")
      .add("hash", hex(t.hash))
      .add("ops", listOf(t.op_count, [&](uint32_t i) { return operation(library, t.ops[i]); }))
      .add("kernels", listOf(t.kernel_count, [&](uint32_t i) { return kernel(t.kernels[i]); }))
      .add("devices", listOf(t.device_count, [&](uint32_t i) { return text(t.devices[i]); }))
      .number("constant_count", t.constant_count)
      .release();
}

} // namespace opw::plugins
