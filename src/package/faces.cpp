#include "package/faces.h"

#include "package/tables.h"
#include "package/tables_op.h"

#include <algorithm>
#include <map>

namespace opw::package {
namespace {

bool has(const Request &r, const char *face) {
  return std::find(r.faces.begin(), r.faces.end(), face) != r.faces.end();
}

/// Whether TVM-FFI means something of its own by __tvm_ffi_<name>.
bool reservedInTvmFfi(const std::string &name) {
  return name == "main" || name.starts_with("_metadata_") || name.starts_with("_doc_") ||
         name.starts_with("_library_") || name.starts_with("_cubin_");
}

/// The number of an op's newest version, by namespace and name.
std::map<std::pair<std::string, std::string>, uint32_t> newestVersions(const Request &r) {
  std::map<std::pair<std::string, std::string>, uint32_t> newest;
  for (uint32_t i = 0; i < r.ops.size(); ++i) {
    const OpRequest &op = r.ops[i];
    auto [it, first] = newest.try_emplace({op.ns.empty() ? r.ns : op.ns, op.name}, i);
    if (!first && r.ops[it->second].version < op.version)
      it->second = i;
  }
  return newest;
}

/// __tvm_ffi_<ns>__<name> per op, and __tvm_ffi_<name> where that can be nothing else.
std::vector<Stub> tvmFfiStubs(const Request &r) {
  const std::string prefix = "__tvm_ffi_";
  auto newest = newestVersions(r);
  std::map<std::string, uint32_t> owner; // of a name behind the prefix
  std::map<std::string, int> sharing;    // namespaces that have an op of this name
  for (const auto &[key, number] : newest) {
    const std::string name = key.first + "__" + key.second;
    auto [it, first] = owner.emplace(name, number);
    if (!first)
      refuse(fullName(r, r.ops[number]),
             "the name " + prefix + name + " for TVM-FFI, which " + fullName(r, r.ops[it->second]) + " has too",
             "rename one of them, or leave tvmffi out of the faces");
    if (reservedInTvmFfi(name))
      refuse(fullName(r, r.ops[number]), "the name " + prefix + name + ", which is TVM-FFI's own",
             "rename the namespace, or leave tvmffi out of the faces");
    ++sharing[key.second];
  }
  std::vector<Stub> stubs;
  for (const auto &[key, number] : newest) {
    Stub stub{{prefix + key.first + "__" + key.second}, number, "opw_tvmffi_call"};
    if (sharing[key.second] == 1 && !owner.contains(key.second) && !reservedInTvmFfi(key.second))
      stub.names.push_back(prefix + key.second);
    stubs.push_back(std::move(stub));
  }
  return stubs;
}

} // namespace

std::vector<std::string> EntryPoints::exports() const {
  std::vector<std::string> names = functions;
  for (const Stub &stub : stubs)
    names.insert(names.end(), stub.names.begin(), stub.names.end());
  return names;
}

EntryPoints entryPoints(const Request &r) {
  for (const std::string &face : r.faces)
    if (face != "c" && face != "onnxruntime" && face != "tvmffi")
      refuse({}, "the face '" + face + "', expected c, onnxruntime or tvmffi", "other hosts are not supported yet");
  EntryPoints points{{"opw_library"}, {}};
  if (has(r, "onnxruntime"))
    points.functions.push_back("RegisterCustomOps");
  if (has(r, "tvmffi"))
    points.stubs = tvmFfiStubs(r);
  return points;
}

} // namespace opw::package
