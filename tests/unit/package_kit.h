// For the tests of the packager: requests made by hand, kernels compiled from C, and calls of a built plugin.
#pragma once

#include "opwright/plugin.h"
#include "package/request.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace opw::testing {

/// A directory of its own below the system's temporary one, removed at the end.
class Folder {
public:
  Folder();
  ~Folder();
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  std::string path() const { return directory.string(); }
  std::string operator/(const std::string &name) const { return (directory / name).string(); }

private:
  std::filesystem::path directory;
};

std::string readAll(const std::string &path);
void writeAll(const std::string &path, const std::string &bytes);

/// The object that the system's C compiler makes of `source`, which defines ENTRY with KERNEL_ARGUMENTS.
std::string compileC(const std::string &source, const std::string &entry);

/// sample::add(x, y, alpha = 1) -> x + alpha * y over f32, with a variant for 16-byte pointers and one for all.
package::Request addRequest();

/// Objects for addRequest() at every level of the request: `bias` is added to each result, to tell variants apart.
std::vector<package::KernelObject> addObjects(const package::Request &request);

/// A library, loaded from a copy of its own, because plugins are never unmapped.
class Plugin {
public:
  explicit Plugin(const std::string &path);
  const opw_library_t *library = nullptr;
  const opw_op_t *op(const char *ns, const char *name) const { return library->api->find(ns, name, 0); }
  void *symbol(const char *name) const;

private:
  Folder folder;
  void *handle = nullptr;
};

/// A row-major view in CPU memory; keeps its shape.
struct Tensor {
  Tensor(void *data, opw_dtype_t dtype, std::vector<int64_t> shape);
  std::vector<int64_t> shape;
  opw_tensor_t view{};
};

/// The last error of `call` and its text.
struct Outcome {
  opw_status_t status;
  std::string text;
};

/// Runs an op on views and attributes.
Outcome run(const opw_api_t &api, const opw_op_t *op, std::vector<const opw_tensor_t *> inputs,
            std::vector<opw_tensor_t *> outputs, std::vector<opw_attr_value_t> attrs = {}, int32_t tactic = 0,
            const opw_host_t *host = nullptr);

opw_attr_value_t floatAttr(double value);
opw_attr_value_t intAttr(int64_t value);

/// Where libopwright_runtime.a of this build is, and the public headers.
std::string runtimeArchive();
std::string testInclude();

} // namespace opw::testing
