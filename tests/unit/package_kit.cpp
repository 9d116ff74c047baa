#include "package_kit.h"

#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unistd.h>

namespace opw::testing {
namespace {

constexpr const char *kPrelude = R"(
#include <opwright/plugin.h>
#include <string.h>
#define KERNEL __attribute__((visibility("hidden"))) int32_t ENTRY(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *scratch)
)";

constexpr const char *kAdd = R"(
KERNEL {
  const float *x = (const float *)args->slots[0], *y = (const float *)args->slots[1];
  float *out = (float *)args->slots[2], alpha;
  int64_t n = (int64_t)args->slots[3], end = hi * 256 < n ? hi * 256 : n;
  memcpy(&alpha, &args->slots[4], 4);
  (void)scratch;
  for (int64_t i = lo * 256; i < end; i++) out[i] = x[i] + alpha * y[i] + (float)BIAS;
  return 0;
}
)";

constexpr uint16_t kDlTypes[] = {0,      0x0608, 0x0008, 0x0010, 0x0020, 0x0040, 0x0108,
                                 0x0110, 0x0120, 0x0140, 0x0210, 0x0410, 0x0220, 0x0240};

} // namespace

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "opw-test-XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error("mkdtemp");
  directory = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void writeAll(const std::string &path, const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string compileC(const std::string &source, const std::string &entry) {
  Folder folder;
  writeAll(folder / "kernel.c", kPrelude + source);
  std::string command = "cc -O2 -fPIC -w -DENTRY=" + entry + " -I" OPW_TEST_INCLUDE " -c " + (folder / "kernel.c") +
                        " -o " + (folder / "kernel.o");
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error(command);
  return readAll(folder / "kernel.o");
}

package::Request addRequest() {
  package::Request r;
  r.library = "libadd.so";
  r.ns = "sample";
  r.faces = {"c", "onnxruntime", "tvmffi"};
  r.cpuLevels = {"x86-64-v3"};
  std::vector<package::ParamRequest> params{
      {"pointer", ""}, {"pointer", ""}, {"pointer", ""}, {"scalar", "i32"}, {"scalar", "f32"}};
  for (const char *id : {"add.v0", "add.v1"})
    r.kernels.push_back({id, "add_kernel", "add.py", 7, std::string(id) + ".ttir", "", params});
  package::OpRequest op;
  op.name = "add";
  op.doc = "x + alpha * y";
  op.typevars = {{"T", {"f32"}}};
  package::IoRequest x, y, out;
  x.name = "x";
  y.name = "y";
  out.name = "out";
  x.type = y.type = out.type = "T";
  out.shape = {"x[0:]"};
  op.inputs = {x, y};
  op.outputs = {out};
  package::AttrRequest alpha;
  alpha.name = "alpha";
  alpha.kind = "float";
  alpha.fallback = 1.0;
  op.attrs = {alpha};
  op.vars = {{"n", "numel(x)"}};
  op.valid = "numel(x) == numel(y)";
  op.validText = "x and y must have the same number of elements";
  package::LaunchRequest launch;
  launch.grid = {"cdiv(n, 256)"};
  launch.args = {"ptr x", "ptr y", "ptr out", "var n", "attr alpha"};
  launch.variants = {{{"arg 0..2 % 16 == 0"}, "add.v0", "", ""}, {{}, "add.v1", "", ""}};
  package::PlanRequest plan;
  plan.launches = {launch};
  op.plans = {plan};
  r.ops = {op};
  return r;
}

std::vector<package::KernelObject> addObjects(const package::Request &request) {
  static std::vector<std::pair<std::string, std::string>> compiled; // entry, object
  std::vector<package::KernelObject> objects;
  for (const package::KernelRequest &kernel : request.kernels)
    for (const std::string &level : request.cpuLevels) {
      package::KernelObject o;
      o.kernel = kernel.id;
      o.level = level;
      o.entry = "opw_k_" + std::string(1, kernel.id.back()) + "_" + level.substr(level.size() - 2);
      for (const auto &[entry, object] : compiled)
        if (entry == o.entry)
          o.object = object;
      if (o.object.empty()) {
        // the general variant is off by 100, v4 by 1000
        int bias = (kernel.id == "add.v1" ? 100 : 0) + (level == "x86-64-v4" ? 1000 : 0);
        o.object = compileC("#define BIAS " + std::to_string(bias) + "\n" + kAdd, o.entry);
        compiled.emplace_back(o.entry, o.object);
      }
      o.grain = 16;
      o.params = {{true, OPW_F32}, {true, OPW_F32}, {true, OPW_F32}, {false, OPW_I32}, {false, OPW_F32}};
      objects.push_back(o);
    }
  return objects;
}

Plugin::Plugin(const std::string &path) {
  std::string copy = folder / "plugin.so";
  std::filesystem::copy_file(path, copy);
  handle = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    throw std::runtime_error(dlerror());
  auto query = reinterpret_cast<opw_library_fn>(dlsym(handle, "opw_library"));
  library = query ? query(OPW_ABI_MAJOR) : nullptr;
  if (!library)
    throw std::runtime_error("no opw_library");
}

void *Plugin::symbol(const char *name) const { return dlsym(handle, name); }

Tensor::Tensor(void *data, opw_dtype_t dtype, std::vector<int64_t> sizes) : shape(std::move(sizes)) {
  view.data = data;
  view.device_type = OPW_DEVICE_CPU;
  view.ndim = static_cast<int32_t>(shape.size());
  view.dl_code = static_cast<uint8_t>(kDlTypes[dtype] >> 8);
  view.dl_bits = static_cast<uint8_t>(kDlTypes[dtype]);
  view.dl_lanes = 1;
  shape.resize(OPW_MAX_RANK);
  view.shape = shape.data();
}

Outcome run(const opw_api_t &api, const opw_op_t *op, std::vector<const opw_tensor_t *> inputs,
            std::vector<opw_tensor_t *> outputs, std::vector<opw_attr_value_t> attrs, int32_t tactic,
            const opw_host_t *host) {
  char text[512] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = inputs.data();
  call.outputs = outputs.data();
  call.attrs = attrs.empty() ? nullptr : attrs.data();
  call.input_count = static_cast<uint32_t>(inputs.size());
  call.output_count = static_cast<uint32_t>(outputs.size());
  call.attr_count = static_cast<uint32_t>(attrs.size());
  call.device_type = OPW_DEVICE_CPU;
  call.tactic = tactic;
  call.host = host;
  opw_status_t status = api.run(op, &call, &error);
  return {status, text};
}

opw_attr_value_t floatAttr(double value) {
  opw_attr_value_t v{};
  v.kind = OPW_ATTR_FLOAT;
  v.u.f = value;
  return v;
}

opw_attr_value_t intAttr(int64_t value) {
  opw_attr_value_t v{};
  v.kind = OPW_ATTR_INT;
  v.u.i = value;
  return v;
}

std::string testInclude() { return OPW_TEST_INCLUDE; }

std::string runtimeArchive() { return OPW_TEST_ARCHIVE; }

} // namespace opw::testing
