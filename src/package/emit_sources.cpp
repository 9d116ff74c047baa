#include "package/emit_sources.h"

#include "package/files.h"
#include "package/link.h"
#include "package/tables_source.h"

#include <cctype>
#include <set>

namespace opw::package {
namespace {

const KernelRequest &sourceOf(const Request &request, const KernelObject &object) {
  for (const KernelRequest &k : request.kernels)
    if (k.id == object.kernel)
      return k;
  return request.kernels.front(); // packagePlugin has refused objects of unknown kernels
}

/// "kernels/<id>.<level>.s", with nothing in it that a file system or CMake would take for more than a name.
std::string fileOf(const KernelObject &object, std::set<std::string> &taken) {
  std::string base;
  for (char c : object.kernel + "." + object.level)
    base += std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ? c : '_';
  std::string name = base;
  for (int n = 2; !taken.insert(name).second; ++n)
    name = base + "_" + std::to_string(n);
  return "kernels/" + name + ".s";
}

std::string assemblyOf(const Request &request, const KernelObject &object) {
  const KernelRequest &source = sourceOf(request, object);
  std::string where = source.line ? ", line " + std::to_string(source.line) : "";
  return "# " + source.name + " of " + source.file + where + ", compiled for " + object.level +
         ": an opw_cpu_entry_t.\n" + object.assembly;
}

/// The stubs of elf_write.h, instruction by instruction.
std::string stubsOf(const std::vector<Stub> &stubs) {
  std::string text = "# Functions that hosts look up by name: each gives the runtime the number of its op.\n\t.text\n";
  for (const Stub &stub : stubs) {
    text += "\t.p2align\t4\n";
    for (const std::string &name : stub.names)
      text += "\t.globl\t" + name + "\n\t.type\t" + name + ",@function\n" + name + ":\n";
    text += "\tendbr64\n\tmovl\t$" + std::to_string(stub.number) + ", %r8d\n\t.hidden\t" + stub.target + "\n\tjmp\t" +
            stub.target + "\n\tint3\n";
  }
  return text + "\t.section\t.note.GNU-stack,\"\",@progbits\n";
}

constexpr const char *kProject =
    R"CMAKE(# Builds @LIBRARY@ from its sources: the tables in C, the kernels in assembly, the runtime from an
# installed opwright. With a C compiler and CMake:
#
#     cmake -S . -B build && cmake --build build && opwright seal build/@LIBRARY@
#
# The seal is for opwright.load and functional.py, which refuse a library without one; other hosts do not ask for it.
# OPWRIGHT_DIR is the folder of the Python package opwright; without it, python3 is asked.
cmake_minimum_required(VERSION 3.20)
project(plugin LANGUAGES C ASM)

if(NOT OPWRIGHT_DIR)
  execute_process(
    COMMAND python3 -c "import importlib.util; print(importlib.util.find_spec('opwright').submodule_search_locations[0])"
    OUTPUT_VARIABLE OPWRIGHT_DIR OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT EXISTS "${OPWRIGHT_DIR}/lib/libopwright_runtime.a")
  message(FATAL_ERROR "found no opwright in '${OPWRIGHT_DIR}', expected lib/libopwright_runtime.a there; "
                      "give -DOPWRIGHT_DIR=<folder of the Python package>")
endif()

add_library(plugin MODULE
@SOURCES@)
set_target_properties(plugin PROPERTIES PREFIX "" OUTPUT_NAME "@STEM@" SUFFIX "@SUFFIX@" C_STANDARD 11
                      POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden LINK_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/exports.map")
target_include_directories(plugin PRIVATE "${OPWRIGHT_DIR}/include")
# The entry points lie in the archive: they are asked for by name.
target_link_options(plugin PRIVATE
@OPTIONS@)
target_link_libraries(plugin PRIVATE "${OPWRIGHT_DIR}/lib/libopwright_runtime.a" c gcc)
)CMAKE";

void replace(std::string &text, const std::string &what, const std::string &by) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size())
    text.replace(at, what.size(), by);
}

std::string project(const Request &request, const std::vector<std::string> &sources, const EntryPoints &points) {
  std::string listed = "  plugin_tables.c", options;
  for (const std::string &source : sources)
    listed += "\n  " + source;
  for (const std::string &option : linkOptions())
    options += (options.empty() ? "  " : "\n  ") + option;
  replace(options, "=exports.map", "=${CMAKE_CURRENT_SOURCE_DIR}/exports.map");
  for (const std::string &name : points.functions)
    options += "\n  -Wl,-u," + name;
  options += "\n  -Wl,-soname," + request.library;
  size_t dot = request.library.rfind('.');
  std::string text = kProject;
  replace(text, "@LIBRARY@", request.library);
  replace(text, "@STEM@", request.library.substr(0, dot));
  replace(text, "@SUFFIX@", dot == std::string::npos ? "" : request.library.substr(dot));
  replace(text, "@SOURCES@", listed);
  replace(text, "@OPTIONS@", options);
  return text;
}

} // namespace

Status emitSources(const std::string &folder, const opw_tables_t &tables, const Request &request,
                   const std::vector<KernelObject> &objects, const EntryPoints &points) {
  Result<std::string> source = tablesSource(tables, request, objects);
  if (!source)
    return source.diagnostics();
  if (Status made = makeDirectory(folder); !made)
    return made;
  if (Status made = makeDirectory(folder + "/kernels"); !made)
    return made;
  std::set<std::string> taken;
  std::vector<std::string> files;
  for (const KernelObject &object : objects) {
    files.push_back(fileOf(object, taken));
    if (Status written = writeFile(folder + "/" + files.back(), assemblyOf(request, object)); !written)
      return written;
  }
  if (!points.stubs.empty()) {
    files.emplace_back("stubs.s");
    if (Status written = writeFile(folder + "/stubs.s", stubsOf(points.stubs)); !written)
      return written;
  }
  if (Status written = writeFile(folder + "/plugin_tables.c", *source); !written)
    return written;
  if (Status written = writeFile(folder + "/exports.map", versionScript(points.exports())); !written)
    return written;
  return writeFile(folder + "/CMakeLists.txt", project(request, files, points));
}

} // namespace opw::package
