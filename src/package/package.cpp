#include "package/package.h"

#include "package/arena.h"
#include "package/emit_sources.h"
#include "package/faces.h"
#include "package/files.h"
#include "package/link.h"
#include "package/seal.h"
#include "package/sha256.h"
#include "package/tables.h"
#include "package/verify.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace opw::package {
namespace {

class Clock {
public:
  explicit Clock(Packaged &result) : result(result) {}
  void stage(const char *name) {
    auto t = std::chrono::steady_clock::now();
    result.stages.emplace_back(name, std::chrono::duration<double, std::milli>(t - last).count());
    last = t;
  }

private:
  Packaged &result;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// The object of the tables, with the hash of all that the library is made of.
std::string tablesObject(Arena &arena, opw_tables_t *tables, const std::vector<KernelObject> &objects,
                         const EntryPoints &points) {
  Sha256 hash;
  hash.addField(writeObject(arena, tables, "opw_tables", points.functions, points.stubs));
  for (const KernelObject &object : objects)
    hash.addField(object.entry).addField(object.object);
  Digest digest = hash.finish();
  std::copy(digest.begin(), digest.end(), tables->hash);
  return writeObject(arena, tables, "opw_tables", points.functions, points.stubs);
}

/// The elements of the request's constants.
Result<std::vector<std::string>> readConstants(const Request &request, const std::string &workspace) {
  std::vector<std::string> all;
  for (const ConstantRequest &c : request.constants) {
    Result<std::string> data = readFile(workspace + "/" + c.file);
    if (!data)
      return data.diagnostics();
    if (!c.sha256.empty() && sha256Hex(*data) != c.sha256) {
      Diagnostic d;
      d.message = "'" + c.file + "' is not the file that the request was made with: its SHA-256 differs";
      d.hint = "make the request again";
      return d;
    }
    all.push_back(std::move(*data));
  }
  return all;
}

std::string absolute(const std::string &path) {
  char *real = realpath(path.c_str(), nullptr);
  std::string out = real ? real : path;
  std::free(real);
  return out;
}

} // namespace

Result<Packaged> packagePlugin(const Request &request, const std::vector<KernelObject> &objects,
                               const PackageOptions &options) {
  Packaged result;
  Clock clock(result);
  std::string output = options.workspace + "/output";
  if (!exists(options.archive)) {
    Diagnostic d;
    d.message = "found no runtime archive at '" + options.archive + "'";
    d.hint = "install Opwright again";
    return d;
  }

  // Every pointer of the tables becomes a relocation, every kernel entry a symbol.
  Result<std::vector<std::string>> constants = readConstants(request, options.workspace);
  if (!constants)
    return constants.diagnostics();
  Arena arena;
  Result<opw_tables_t *> tables = fillTables(arena, request, objects, *constants, options.producer);
  if (!tables)
    return tables.diagnostics();
  const EntryPoints points = entryPoints(request); // fillTables would have refused them
  const std::vector<std::string> exports = points.exports();
  std::string object = tablesObject(arena, *tables, objects, points);
  clock.stage("tables");

  // All files are made in a directory of their own, under names that say nothing about the place.
  if (Status made = makeDirectory(output); !made)
    return made.diagnostics();
  Result<TemporaryDirectory> directory = TemporaryDirectory::make(absolute(options.workspace));
  if (!directory)
    return directory.diagnostics();
  LinkRequest link{directory->path(), {"tables.o"}, absolute(options.archive), exports, "plugin.so", request.library};
  if (Status written = writeFile(link.directory + "/tables.o", object); !written)
    return written.diagnostics();
  for (size_t i = 0; i < objects.size(); ++i) {
    link.objects.push_back("k" + std::to_string(i) + ".o");
    if (Status written = writeFile(link.directory + "/" + link.objects.back(), objects[i].object); !written)
      return written.diagnostics();
  }
  if (Status linked = package::link(link); !linked)
    return linked.diagnostics();
  clock.stage("link");

  std::string built = link.directory + "/" + link.output;
  if (Status sealed = sealLibrary(built, (*tables)->hash); !sealed)
    return sealed.diagnostics();
  Result<Verified> verified = verifyPlugin(built, exports);
  if (!verified)
    return verified.diagnostics();
  result.glibc = verified->highestVersion;
  clock.stage("verify");

  if (!options.sources.empty()) {
    if (Status emitted = emitSources(options.sources, **tables, request, objects, points); !emitted)
      return emitted.diagnostics();
    clock.stage("sources");
  }

  Result<std::string> bytes = readFile(built);
  if (bytes)
    result.bytes = bytes->size();
  result.library = output + "/" + request.library;
  if (Status renamed = renameFile(built, result.library); !renamed)
    return renamed.diagnostics();
  return result;
}

} // namespace opw::package
