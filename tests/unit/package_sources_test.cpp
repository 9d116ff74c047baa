// A plugin as sources: the C of its tables, compiled, has the tables of the library.
#include "package/emit_sources.h"
#include "package/link.h"
#include "package/package.h"
#include "package/tables.h"
#include "package/tables_source.h"
#include "package_kit.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <set>

namespace opw::testing {
namespace {

package::IoRequest io(const char *name, const char *type, std::vector<std::string> shape = {}) {
  package::IoRequest r;
  r.name = name;
  r.type = type;
  r.shape = std::move(shape);
  return r;
}

package::AttrRequest attr(const char *name, const char *kind, package::AttrDefault fallback) {
  package::AttrRequest a;
  a.name = name;
  a.kind = kind;
  a.fallback = std::move(fallback);
  return a;
}

/// sample::add, and an op with something of everything that a request can say.
package::Request everything() {
  package::Request r = addRequest();
  r.faces.push_back("tvmffi");
  r.kernels[1].id = "weird \"id\" */ ?\?/ \xc3\xa4 1";
  r.ops[0].plans[0].launches[0].variants[1].kernel = r.kernels[1].id;
  package::OpRequest op;
  op.name = "all";
  op.version = 3;
  op.doc = "Two lines, \"quoted\" \\ and ?\?/ \xc3\xa4.\nThe second, with \t and */.";
  op.typevars = {{"T", {"f32", "f64", "bf16"}}, {"U", {"i32"}}};
  op.combos = {{"f32", "i32"}, {"f64", "i32"}};
  op.inputs = {io("x", "T"), io("steps", "i64"), io("bias", "u8"), io("rest", "U")};
  op.inputs[0].rankMin = 1;
  op.inputs[0].rankMax = 4;
  op.inputs[0].align = 64;
  op.inputs[0].doc = "documented";
  op.inputs[1].host = true;
  op.inputs[2].optional = op.inputs[2].strided = true;
  op.inputs[3].variadic = true;
  op.inputs[3].variadicMin = 2;
  op.outputs = {io("out", "T", {"x[1:-1]", "n"}), io("idx", "i64", {"found", "pads"}), io("count", "i64"),
                io("same", "T", {"x[0:]"})};
  op.outputs[1].compact = true;
  op.outputs[2].size = true;
  op.outputs[3].alias = "x";
  op.outputs[3].inplace = true;
  op.attrs = {attr("i", "int", int64_t{INT64_MIN}),
              attr("f", "float", 0.1),
              attr("b", "bool", true),
              attr("s", "string", std::string("a\"b")),
              attr("pads", "ints", std::vector<int64_t>{1, -2, 1LL << 40}),
              attr("scales", "floats", std::vector<double>{1e-300, 2, -0.5}),
              attr("names", "strings", std::vector<std::string>{"p", "q"}),
              attr("flags", "bools", std::vector<int64_t>{1, 0}),
              attr("data", "bytes", std::vector<int64_t>{255, 0, 10}),
              attr("mode", "enum", std::string("far")),
              attr("type", "dtype", std::string("bf16")),
              attr("must", "int", {})};
  op.attrs[0].doc = "an integer";
  op.attrs[4].listLength = 3;
  op.attrs[9].choices = {"near", "far"};
  op.vars = {{"n", "cdiv(x.0, 3) * value(steps, 0) + 123456789012345 // max(i, 1)"}, {"z", "sqrt(f) + 2.5"}};
  op.valid = "x.0 >= 1 and present(bias) <= count(rest)";
  op.validText = "x is empty";
  op.sizes = {{"found", "count", "numel(x)", "numel(x) // 2"}};
  op.tactics = {{4, "four"}, {9, ""}};
  op.flops = "2 * numel(x)";
  op.bytes = "itemsize(x) * numel(x)";
  op.extra = "{\"source\": \"here\"}";
  for (int32_t tactic : {4, 9}) {
    package::PlanRequest p;
    p.combo = tactic == 9;
    p.tactic = tactic;
    p.workspace = {{"tmp", "f32", "n + 7", "numel(x) + 9", 128}};
    package::LaunchRequest fill, launch;
    fill.fill = "tmp";
    fill.fillByte = 255;
    fill.when = "i != 3";
    launch.grid = {"n", "len(pads)"};
    launch.phase = 1;
    launch.args = {"ptr x", "ptr tmp", "ptr out", "stride x.0", "z"};
    launch.variants = {{{"arg 3 >= 4", "arg 3 <= 2147483647", "arg 0 set"}, "add.v0", "n > 100", ""},
                       {{"arg 3 == 1"}, "add.v0", "", "strides of \"x\""}};
    p.launches = {fill, launch};
    op.plans.push_back(p);
  }
  r.ops.push_back(op);
  return r;
}

/// The text of the tables of a library that is loaded.
std::string textOf(const Plugin &plugin, const package::Request &request,
                   const std::vector<package::KernelObject> &objects) {
  Result<std::string> text = package::tablesSource(*plugin.library->tables, request, objects);
  return text ? *text : render(text.diagnostics());
}

TEST(PackageSources, TheCompiledTextHasTheTablesOfTheLibrary) {
  package::Request request = everything();
  std::vector<package::KernelObject> objects = addObjects(request);
  for (package::KernelObject &o : objects)
    o.assembly = "\t.text\n# " + o.entry + "\n";
  Folder folder;
  package::PackageOptions options{folder.path(), runtimeArchive(), "opwright test", folder / "sources"};
  Result<package::Packaged> made = package::packagePlugin(request, objects, options);
  ASSERT_TRUE(made) << render(made.diagnostics());
  Plugin library(made->library);
  std::string text = readAll(folder / "sources/plugin_tables.c");
  EXPECT_EQ(text, textOf(library, request, objects));

  // Compiled by any C compiler, and linked with the same objects.
  std::string command = "cd " + (folder / "sources") + " && cc -std=c11 -O0 -fPIC -Wall -Wextra -Werror -I" +
                        testInclude() + " -c plugin_tables.c -o tables.o && cc -c stubs.s";
  ASSERT_EQ(std::system(command.c_str()), 0) << text;
  package::EntryPoints points = package::entryPoints(request);
  package::LinkRequest link{folder / "sources", {"tables.o", "stubs.o", "-Wl,-u,opw_library,-u,RegisterCustomOps"},
                            runtimeArchive(),   points.exports(),
                            "again.so",         request.library};
  for (const package::KernelObject &o : objects) {
    writeAll(folder / ("sources/" + o.entry + ".o"), o.object);
    link.objects.push_back(o.entry + ".o");
  }
  Status linked = package::link(link);
  ASSERT_TRUE(linked) << render(linked.diagnostics());
  Plugin again(folder / "sources/again.so");
  EXPECT_EQ(text, textOf(again, request, objects));
  ASSERT_GT(points.stubs.size(), 1u);
  for (const std::string &name : points.exports()) {
    const auto *theirs = static_cast<const char *>(again.symbol(name.c_str()));
    const auto *ours = static_cast<const char *>(library.symbol(name.c_str()));
    ASSERT_TRUE(theirs && ours) << name;
    if (name.starts_with("__tvm_ffi_")) { // endbr64, the number of the op, and the jump's first byte
      EXPECT_EQ(std::memcmp(theirs, ours, 11), 0) << name;
    }
  }
  for (const char *op : {"add", "all"})
    EXPECT_EQ(again.library->api->check(again.op("sample", op), nullptr), OPW_OK) << op;
}

TEST(PackageSources, NoByteOfTheTablesIsLeftOut) {
  package::Request request = everything();
  std::vector<package::KernelObject> objects = addObjects(request);
  package::Arena arena;
  Result<opw_tables_t *> tables = package::fillTables(arena, request, objects, {}, "test");
  ASSERT_TRUE(tables) << render(tables.diagnostics());
  auto text = [&] {
    Result<std::string> source = package::tablesSource(**tables, request, objects);
    return source ? *source : render(source.diagnostics());
  };
  const std::string whole = text();
  std::set<const char *> pointers;
  for (const package::Arena::Pointer &p : arena.pointerList())
    for (size_t i = 0; i < 8; ++i)
      pointers.insert(p.field + i);
  size_t changed = 0;
  for (const package::Arena::Block &block : arena.blocks()) {
    if (block.section == package::Arena::Section::State)
      continue;
    uint32_t first = 0;
    std::memcpy(&first, block.memory.get(), std::min<size_t>(block.bytes, sizeof first));
    for (size_t i = first == block.bytes ? sizeof first : 0; i < block.bytes;
         ++i) { // a struct_size is printed as sizeof
      char *byte = block.memory.get() + i;
      if (*byte == 0 || pointers.contains(byte))
        continue;
      const char was = *byte;
      --*byte; // less: no count becomes too large
      if (block.bytes == sizeof(opw_attr_t) && i == offsetof(opw_attr_t, fallback) && was == OPW_ATTR_BOOLS)
        *byte = OPW_ATTR_BOOL; // as floats they would be read beyond their end
      EXPECT_NE(text(), whole) << "byte " << i << " of a block of " << block.bytes << " bytes";
      *byte = was;
      ++changed;
    }
  }
  EXPECT_GT(changed, 800u);
}

TEST(PackageSources, TheProjectNamesEveryFile) {
  package::Request request = everything();
  std::vector<package::KernelObject> objects = addObjects(request);
  for (package::KernelObject &o : objects)
    o.assembly = "\t.text\n";
  Folder one, two;
  for (Folder *folder : {&one, &two})
    ASSERT_TRUE(package::packagePlugin(request, objects, {folder->path(), runtimeArchive(), "test", *folder / "s"}));
  std::string project = readAll(one / "s/CMakeLists.txt");
  for (const char *file : {"kernels/add.v0.x86-64-v3.s", "kernels/weird__id____________1.x86-64-v3.s"}) {
    EXPECT_NE(project.find(file), project.npos) << project;
    EXPECT_NE(readAll(one / (std::string("s/") + file)).find("# add_kernel of add.py, line 7, compiled for x86-64-v3"),
              std::string::npos)
        << file;
  }
  EXPECT_NE(project.find("-Wl,-u,RegisterCustomOps"), project.npos);
  EXPECT_EQ(project.find(one.path()), project.npos);
  for (const char *file : {"CMakeLists.txt", "plugin_tables.c", "exports.map", "kernels/add.v0.x86-64-v3.s"})
    EXPECT_EQ(readAll(one / (std::string("s/") + file)), readAll(two / (std::string("s/") + file))) << file;
}

TEST(PackageSources, RefusesWhatItCannotWrite) {
  opw_tables_t tables{};
  tables.constant_count = 1;
  Result<std::string> text = package::tablesSource(tables, {}, {});
  ASSERT_FALSE(text);
  EXPECT_EQ(
      render(text.diagnostics()),
      "error: the sources of this plugin would need baked tensors, which are not written as C yet\n  hint: build it "
      "without --emit-sources\n");
}

TEST(PackageSources, AFolderThatCannotBeMadeLeavesTheLibrary) {
  package::Request request = addRequest();
  std::vector<package::KernelObject> objects = addObjects(request);
  Folder folder;
  ASSERT_TRUE(package::packagePlugin(request, objects, {folder.path(), runtimeArchive(), "one"}));
  std::string before = readAll(folder / "output/libadd.so");
  writeAll(folder / "file", "in the way");
  Result<package::Packaged> made =
      package::packagePlugin(request, objects, {folder.path(), runtimeArchive(), "two", folder / "file/sources"});
  ASSERT_FALSE(made);
  EXPECT_NE(render(made.diagnostics()).find("file/sources"), std::string::npos) << render(made.diagnostics());
  EXPECT_EQ(readAll(folder / "output/libadd.so"), before);
}

} // namespace
} // namespace opw::testing
