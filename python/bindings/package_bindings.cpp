// _core.build and _core.package: a build request as a dict (the schema of docs/abi.md), checked key by key, in; a
// plugin library out.
#include "bindings.h"

#include "driver/build.h"
#include "opwright/plugin.h"
#include "package/files.h"
#include "package/link.h"
#include "package/names.h"
#include "package/package.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <dlfcn.h>
#include <set>

namespace nb = nanobind;

namespace opw::python {
namespace {

/// A refusal of the request's form: what was found at which key.
struct BadRequest {
  std::string where, message;
};

/// A dict whose keys are all asked for; the rest is an error.
class Reader {
public:
  Reader(nb::handle value, std::string place) : where(std::move(place)) {
    if (!nb::isinstance<nb::dict>(value))
      throw BadRequest{where, "found " + typeName(value) + ", expected an object"};
    dict = nb::borrow<nb::dict>(value);
  }

  /// Refuses keys that nobody asked for.
  void finish() const {
    for (auto [key, value] : dict)
      if (!known.contains(nb::cast<std::string>(nb::str(key))))
        throw BadRequest{where, "found the unknown key '" + nb::cast<std::string>(nb::str(key)) + "'"};
  }

  nb::handle find(const char *key) {
    known.insert(key);
    return dict.contains(key) ? nb::handle(PyDict_GetItemString(dict.ptr(), key)) : nb::handle();
  }
  std::string at(const char *key) const { return where.empty() ? key : where + "." + key; }

  std::string text(const char *key, const std::string &missing = {}) {
    nb::handle v = find(key);
    return v ? asText(v, at(key)) : missing;
  }
  std::string required(const char *key) {
    nb::handle v = find(key);
    if (!v)
      throw BadRequest{where, std::string("the key '") + key + "' is missing"};
    return asText(v, at(key));
  }
  int64_t integer(const char *key, int64_t missing) {
    nb::handle v = find(key);
    return v ? asInteger(v, at(key)) : missing;
  }
  /// Non-negative and small enough for a table.
  uint32_t count(const char *key, uint32_t missing = 0) {
    int64_t v = integer(key, missing);
    if (v < 0 || v > INT32_MAX)
      throw BadRequest{at(key), "found " + std::to_string(v) + ", expected 0 to 2147483647"};
    return static_cast<uint32_t>(v);
  }
  bool flag(const char *key) {
    nb::handle v = find(key);
    if (v && !nb::isinstance<nb::bool_>(v))
      throw BadRequest{at(key), "found " + typeName(v) + ", expected true or false"};
    return v && nb::cast<bool>(v);
  }
  std::vector<std::string> texts(const char *key) {
    std::vector<std::string> out;
    each(key, [&](nb::handle v, const std::string &place) { out.push_back(asText(v, place)); });
    return out;
  }
  template <typename Each> void each(const char *key, const Each &action) {
    nb::handle v = find(key);
    if (!v)
      return;
    if (!nb::isinstance<nb::list>(v) && !nb::isinstance<nb::tuple>(v))
      throw BadRequest{at(key), "found " + typeName(v) + ", expected a list"};
    size_t i = 0;
    for (nb::handle entry : nb::borrow<nb::sequence>(v))
      action(entry, at(key) + "[" + std::to_string(i++) + "]");
  }

  static std::string typeName(nb::handle v) { return nb::cast<std::string>(v.type().attr("__name__")); }
  static std::string asText(nb::handle v, const std::string &place) {
    if (!nb::isinstance<nb::str>(v))
      throw BadRequest{place, "found " + typeName(v) + ", expected a string"};
    return nb::cast<std::string>(v);
  }
  static int64_t asInteger(nb::handle v, const std::string &place) {
    int64_t value = 0;
    if (!nb::isinstance<nb::int_>(v) || nb::isinstance<nb::bool_>(v) || !nb::try_cast(v, value))
      throw BadRequest{place, "found " + typeName(v) + ", expected a 64-bit integer"};
    return value;
  }

private:
  nb::dict dict;
  std::string where;
  std::set<std::string> known;
};

package::KernelRequest kernelOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::KernelRequest k;
  k.id = r.required("id");
  k.name = r.text("name", k.id);
  k.file = r.text("file");
  k.line = r.count("line");
  k.ttir = r.required("ttir");
  k.sha256 = r.text("sha256");
  r.each("params", [&](nb::handle v, const std::string &at) {
    Reader p(v, at);
    k.params.push_back({p.required("kind"), p.text("dtype")});
    p.finish();
  });
  r.each("cuda", [](nb::handle, const std::string &at) { throw BadRequest{at, "CUDA images are not supported yet"}; });
  r.finish();
  return k;
}

package::ConstantRequest constantOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::ConstantRequest c;
  c.id = r.required("id");
  c.dtype = r.required("dtype");
  r.each("shape", [&](nb::handle v, const std::string &at) { c.shape.push_back(Reader::asInteger(v, at)); });
  c.file = r.required("file");
  c.sha256 = r.text("sha256");
  r.finish();
  return c;
}

/// A number, or [least, most].
void readRank(Reader &r, package::IoRequest &io) {
  nb::handle v = r.find("rank");
  if (!v)
    return;
  if (nb::isinstance<nb::int_>(v)) {
    io.rankMin = io.rankMax = r.count("rank");
    return;
  }
  std::vector<int64_t> ends;
  r.each("rank", [&](nb::handle e, const std::string &at) { ends.push_back(Reader::asInteger(e, at)); });
  if (ends.size() != 2 || ends[0] < 0 || ends[1] > OPW_MAX_RANK || ends[0] > ends[1])
    throw BadRequest{r.at("rank"), "expected a number or [least, most], at most 16"};
  io.rankMin = static_cast<uint32_t>(ends[0]);
  io.rankMax = static_cast<uint32_t>(ends[1]);
}

/// A list of sizes and slices, or one slice as a text.
std::vector<std::string> shapeOf(Reader &r) {
  nb::handle v = r.find("shape");
  if (v && nb::isinstance<nb::str>(v))
    return {nb::cast<std::string>(v)};
  std::vector<std::string> shape;
  r.each("shape", [&](nb::handle e, const std::string &at) {
    bool number = nb::isinstance<nb::int_>(e);
    shape.push_back(number ? std::to_string(Reader::asInteger(e, at)) : Reader::asText(e, at));
  });
  return shape;
}

package::IoRequest ioOf(nb::handle value, const std::string &place, bool output) {
  Reader r(value, place);
  package::IoRequest io;
  io.name = r.required("name");
  io.doc = r.text("doc");
  io.type = r.required("type");
  readRank(r, io);
  io.align = r.count("align");
  io.optional = r.flag("optional");
  io.variadic = r.flag("variadic");
  io.variadicMin = r.count("variadic_min");
  io.strided = r.flag("strided");
  if (output) {
    io.size = r.flag("size");
    io.compact = r.flag("compact");
    io.inplace = r.flag("inplace");
    io.alias = r.text("alias");
    io.shape = shapeOf(r);
  } else {
    io.host = r.flag("host");
  }
  r.finish();
  return io;
}

package::AttrDefault defaultOf(nb::handle v, const std::string &place) {
  if (!v || v.is_none())
    return {};
  if (nb::isinstance<nb::bool_>(v))
    return nb::cast<bool>(v);
  if (nb::isinstance<nb::int_>(v))
    return Reader::asInteger(v, place);
  if (nb::isinstance<nb::float_>(v))
    return nb::cast<double>(v);
  if (nb::isinstance<nb::str>(v))
    return nb::cast<std::string>(v);
  std::vector<int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  if (nb::try_cast(v, integers))
    return integers;
  if (nb::try_cast(v, numbers))
    return numbers;
  if (nb::try_cast(v, texts))
    return texts;
  throw BadRequest{place, "found " + Reader::typeName(v) + ", expected a number, a string or a list of one of them"};
}

package::AttrRequest attrOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::AttrRequest a;
  a.name = r.required("name");
  a.doc = r.text("doc");
  a.kind = r.required("kind");
  a.fallback = defaultOf(r.find("default"), r.at("default"));
  a.choices = r.texts("choices");
  a.listLength = r.count("list_length");
  r.finish();
  return a;
}

package::LaunchRequest launchOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::LaunchRequest l;
  r.each("grid", [&](nb::handle e, const std::string &at) {
    bool number = nb::isinstance<nb::int_>(e);
    l.grid.push_back(number ? std::to_string(Reader::asInteger(e, at)) : Reader::asText(e, at));
  });
  l.args = r.texts("args");
  l.when = r.text("when");
  l.phase = r.count("phase");
  l.fill = r.text("fill");
  l.fillByte = r.count("fill_byte");
  r.each("variants", [&](nb::handle v, const std::string &at) {
    Reader w(v, at);
    package::VariantRequest variant;
    variant.guards = w.texts("guards");
    variant.kernel = w.required("kernel");
    variant.when = w.text("when");
    variant.reason = w.text("reason");
    w.finish();
    l.variants.push_back(std::move(variant));
  });
  r.finish();
  return l;
}

package::PlanRequest planOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::PlanRequest p;
  p.combo = r.count("combo");
  p.device = r.text("device", "cpu");
  p.tactic = static_cast<int32_t>(r.count("tactic", 1));
  p.valid = r.text("valid");
  p.validText = r.text("valid_text");
  r.each("workspace", [&](nb::handle v, const std::string &at) {
    Reader w(v, at);
    package::WorkspaceRequest buffer;
    buffer.name = w.text("name");
    buffer.dtype = w.required("dtype");
    buffer.elements = w.required("elements");
    buffer.upper = w.text("upper");
    buffer.align = w.count("align");
    w.finish();
    p.workspace.push_back(std::move(buffer));
  });
  r.each("launches", [&](nb::handle v, const std::string &at) { p.launches.push_back(launchOf(v, at)); });
  r.finish();
  return p;
}

/// [["n", "x.0"], ...]
std::vector<std::pair<std::string, std::string>> varsOf(Reader &r) {
  std::vector<std::pair<std::string, std::string>> vars;
  r.each("vars", [&](nb::handle v, const std::string &at) {
    if ((!nb::isinstance<nb::list>(v) && !nb::isinstance<nb::tuple>(v)) || nb::len(v) != 2)
      throw BadRequest{at, "expected [name, expression]"};
    auto pair = nb::borrow<nb::sequence>(v);
    vars.emplace_back(Reader::asText(pair[0], at), Reader::asText(pair[1], at));
  });
  return vars;
}

package::OpRequest opOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::OpRequest op;
  op.ns = r.text("namespace");
  op.name = r.required("name");
  op.doc = r.text("doc");
  op.version = static_cast<int32_t>(r.count("version", 1));
  r.each("typevars", [&](nb::handle v, const std::string &at) {
    Reader t(v, at);
    op.typevars.push_back({t.required("name"), t.texts("types")});
    t.finish();
  });
  r.each("inputs", [&](nb::handle v, const std::string &at) { op.inputs.push_back(ioOf(v, at, false)); });
  r.each("outputs", [&](nb::handle v, const std::string &at) { op.outputs.push_back(ioOf(v, at, true)); });
  r.each("attrs", [&](nb::handle v, const std::string &at) { op.attrs.push_back(attrOf(v, at)); });
  op.vars = varsOf(r);
  op.valid = r.text("valid");
  op.validText = r.text("valid_text");
  r.each("combos", [&](nb::handle v, const std::string &at) {
    std::vector<std::string> row;
    if (!nb::try_cast(v, row))
      throw BadRequest{at, "expected a list of element types"};
    op.combos.push_back(std::move(row));
  });
  r.each("tactics", [&](nb::handle v, const std::string &at) {
    Reader t(v, at);
    op.tactics.push_back({static_cast<int32_t>(t.count("id", 1)), t.text("text")});
    t.finish();
  });
  r.each("sizes", [&](nb::handle v, const std::string &at) {
    Reader s(v, at);
    package::SizeRequest size{s.required("name"), s.required("output"), s.text("upper"), s.text("typical")};
    s.finish();
    op.sizes.push_back(std::move(size));
  });
  r.each("plans", [&](nb::handle v, const std::string &at) { op.plans.push_back(planOf(v, at)); });
  op.flops = r.text("flops");
  op.bytes = r.text("bytes");
  op.extra = r.text("extra");
  r.finish();
  return op;
}

package::Request requestOf(nb::handle value) {
  Reader r(value, "");
  if (int64_t schema = r.integer("opwright", 0); schema != 1)
    throw BadRequest{"opwright", "found schema " + std::to_string(schema) + ", expected 1"};
  package::Request request;
  request.library = r.required("library");
  request.ns = r.text("namespace", "triton");
  if (r.find("faces"))
    request.faces = r.texts("faces");
  Reader targets(r.find("targets") ? r.find("targets") : nb::handle(nb::dict()), "targets");
  request.cpuLevels = targets.texts("cpu");
  if (!targets.texts("cuda").empty())
    throw BadRequest{"targets.cuda", "CUDA is not supported yet"};
  targets.finish();
  r.each("kernels", [&](nb::handle v, const std::string &at) { request.kernels.push_back(kernelOf(v, at)); });
  r.each("constants", [&](nb::handle v, const std::string &at) { request.constants.push_back(constantOf(v, at)); });
  r.each("ops", [&](nb::handle v, const std::string &at) { request.ops.push_back(opOf(v, at)); });
  r.finish();
  return request;
}

/// Objects of _core.package: {"kernel", "level", "object" (bytes), "entry", "params" [(is_pointer, dtype)], ...}.
package::KernelObject objectOf(nb::handle value, const std::string &place) {
  Reader r(value, place);
  package::KernelObject o;
  o.kernel = r.required("kernel");
  o.level = r.required("level");
  o.entry = r.required("entry");
  nb::handle bytes = r.find("object");
  if (!bytes || !nb::isinstance<nb::bytes>(bytes))
    throw BadRequest{r.at("object"), "expected bytes"};
  auto object = nb::borrow<nb::bytes>(bytes);
  o.object.assign(object.c_str(), object.size());
  o.scratchBytes = static_cast<uint64_t>(r.integer("scratch_bytes", 0));
  o.grain = r.integer("grain", 1);
  o.ordered = r.flag("ordered");
  r.each("params", [&](nb::handle v, const std::string &at) {
    auto pair = nb::borrow<nb::sequence>(v);
    std::optional<uint8_t> dtype = package::dtypeByName(Reader::asText(pair[1], at));
    if (!dtype)
      throw BadRequest{at, "found an unknown element type"};
    o.params.push_back({nb::cast<bool>(pair[0]), *dtype});
  });
  r.finish();
  return o;
}

PyObject *missingTool = nullptr; ///< kept by the module

/// A missing linker is a missing tool; everything else is a CompileError.
[[noreturn]] void raise(const Diagnostics &diagnostics) {
  if (!diagnostics.empty() && diagnostics[0].op == package::kNoLinker) {
    Diagnostic plain = diagnostics[0];
    plain.op.clear();
    PyErr_SetString(missingTool, plain.str().c_str());
    throw nb::python_error();
  }
  raiseDiagnostics(diagnostics);
}

[[noreturn]] void raise(const BadRequest &bad) {
  Diagnostic d;
  d.where.file = bad.where.empty() ? "request.json" : "request.json: " + bad.where;
  d.message = bad.message;
  d.hint = "docs/abi.md has the schema of requests";
  raise(Diagnostics{d});
}

/// libopwright_runtime.a lies in lib/ beside the module; OPW_RUNTIME_ARCHIVE is where a build tree has it.
std::string findArchive() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void *>(&findArchive), &info) && info.dli_fname) {
    std::string file = info.dli_fname;
    std::string beside = file.substr(0, file.rfind('/') + 1) + "lib/libopwright_runtime.a";
    if (package::exists(beside))
      return beside;
  }
#ifdef OPW_RUNTIME_ARCHIVE
  return OPW_RUNTIME_ARCHIVE;
#else
  return "lib/libopwright_runtime.a";
#endif
}

nb::list stagesOf(const std::vector<std::pair<std::string, double>> &stages) {
  nb::list list;
  for (const auto &[name, ms] : stages)
    list.append(nb::make_tuple(name, ms));
  return list;
}

nb::dict build(nb::dict request, const std::string &workspace, std::string archive, std::string dumpDir,
               std::string sourcesDir) {
  package::Request checked;
  try {
    checked = requestOf(request);
  } catch (const BadRequest &bad) {
    raise(bad);
  }
  driver::BuildOptions options{workspace,          archive.empty() ? findArchive() : std::move(archive),
                               OPW_VERSION,        2,
                               std::move(dumpDir), std::move(sourcesDir)};
  Result<driver::BuildReport> report = [&] {
    nb::gil_scoped_release released;
    return driver::buildPlugin(checked, options);
  }();
  if (!report)
    raise(report.diagnostics());
  nb::dict out;
  out["library"] = report->library;
  out["bytes"] = report->bytes;
  out["glibc"] = report->glibc;
  out["compiled"] = report->compiled;
  out["reused"] = report->reused;
  out["stages"] = stagesOf(report->stages);
  return out;
}

nb::dict packageObjects(nb::dict request, nb::list objects, const std::string &workspace, std::string archive) {
  package::Request checked;
  std::vector<package::KernelObject> compiled;
  try {
    checked = requestOf(request);
    size_t i = 0;
    for (nb::handle object : objects)
      compiled.push_back(objectOf(object, "objects[" + std::to_string(i++) + "]"));
  } catch (const BadRequest &bad) {
    raise(bad);
  }
  package::PackageOptions options{workspace, archive.empty() ? findArchive() : std::move(archive),
                                  "opwright " OPW_VERSION};
  Result<package::Packaged> packaged = [&] {
    nb::gil_scoped_release released;
    return package::packagePlugin(checked, compiled, options);
  }();
  if (!packaged)
    raise(packaged.diagnostics());
  nb::dict out;
  out["library"] = packaged->library;
  out["bytes"] = packaged->bytes;
  out["glibc"] = packaged->glibc;
  out["stages"] = stagesOf(packaged->stages);
  return out;
}

} // namespace

void bindPackage(nb::module_ &m) {
  PyObject *type = PyErr_NewExceptionWithDoc(
      "opwright._core.MissingToolError", "A tool that a build needs is not installed.", PyExc_RuntimeError, nullptr);
  if (!type)
    throw nb::python_error();
  missingTool = type;
  m.attr("MissingToolError") = nb::steal(nb::handle(type));
  m.def("build", &build, nb::arg("request"), nb::arg("workspace"), nb::arg("runtime_archive") = "",
        nb::arg("dump_dir") = "", nb::arg("sources_dir") = "",
        "Builds the plugin library of a request in its workspace, and its sources in sources_dir. Returns library, "
        "bytes, glibc, compiled, reused and "
        "stages, a list of (name, milliseconds).");
  m.def("package", &packageObjects, nb::arg("request"), nb::arg("objects"), nb::arg("workspace"),
        nb::arg("runtime_archive") = "",
        "The packager alone, for kernels that are compiled already: objects is a list of dicts with kernel, level, "
        "object, entry, params, scratch_bytes, grain, ordered.");
}

} // namespace opw::python
