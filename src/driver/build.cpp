#include "driver/build.h"

#include "package/cache.h"
#include "package/files.h"
#include "package/names.h"
#include "package/package.h"
#include "package/sha256.h"
#include "package/tables.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>

namespace opw::driver {
namespace {

using package::KernelObject;
using package::KernelRequest;
using package::Request;

class Clock {
public:
  explicit Clock(std::vector<StageTime> &stages) : stages(stages) {}
  void stage(const char *name) {
    auto t = std::chrono::steady_clock::now();
    stages.emplace_back(name, std::chrono::duration<double, std::milli>(t - last).count());
    last = t;
  }

private:
  std::vector<StageTime> &stages;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// One kernel at one level: what is to be compiled, and what came out.
struct Job {
  const KernelRequest *kernel;
  std::string level, key;
  bool disjoint;
  std::optional<KernelObject> object;
  Diagnostics diagnostics;
};

/// The element type of plugin.h for one of the IR's; their names are MLIR's.
uint8_t dtypeOf(ir::Elem elem) {
  if (elem == ir::Elem::I1)
    return *package::dtypeByName("bool");
  if (elem == ir::Elem::I4)
    return *package::dtypeByName("u8");
  std::string name(ir::name(elem));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return package::dtypeByName(name).value_or(0);
}

/// Kernels whose pointers may meet: the op writes in place, or one tensor is two arguments. All others are launched
/// with disjoint memory, because the runtime refuses overlap.
std::set<std::string> kernelsWithAliases(const Request &request) {
  std::set<std::string> found;
  for (const package::OpRequest &op : request.ops) {
    bool aliased = std::any_of(op.outputs.begin(), op.outputs.end(), [](const auto &o) { return !o.alias.empty(); });
    for (const package::PlanRequest &plan : op.plans)
      for (const package::LaunchRequest &launch : plan.launches) {
        std::set<std::string> pointers;
        bool twice = false;
        for (const std::string &arg : launch.args)
          twice |= arg.starts_with("ptr ") && !pointers.insert(arg).second;
        for (const package::VariantRequest &variant : launch.variants)
          if (aliased || twice)
            found.insert(variant.kernel);
      }
  }
  return found;
}

Result<std::map<std::string, std::string>> readKernels(const Request &request, const std::string &workspace) {
  std::map<std::string, std::string> texts;
  for (const KernelRequest &kernel : request.kernels) {
    Result<std::string> text = package::readFile(workspace + "/" + kernel.ttir);
    if (!text)
      return text.diagnostics();
    if (!kernel.sha256.empty() && package::sha256Hex(*text) != kernel.sha256) {
      Diagnostic d;
      d.kernel = kernel.name;
      d.message = "'" + kernel.ttir + "' is not the file that the request was made with: its SHA-256 differs";
      d.hint = "make the request again";
      return d;
    }
    texts[kernel.id] = std::move(*text);
  }
  return texts;
}

KernelObject asObject(CompiledKernel compiled, const std::string &level) {
  KernelObject object;
  object.level = level;
  object.object = std::move(compiled.object);
  object.entry = std::move(compiled.entry);
  object.assembly = std::move(compiled.assembly);
  object.scratchBytes = compiled.scratchBytes;
  object.grain = compiled.grain;
  object.ordered = compiled.ordered;
  for (const Param &p : compiled.params)
    object.params.push_back({p.pointer, dtypeOf(p.elem)});
  return object;
}

/// Symbols of one library: unique per kernel text and level, the same in every workspace.
std::string entryName(const Job &job) {
  std::string level = job.level;
  std::replace_if(level.begin(), level.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return "opw_k_" + job.key.substr(0, 16) + "_" + level;
}

void compileJob(Job &job, const std::string &ttir, const BuildOptions &how, const CompileFunction &compile) {
  CompileOptions options;
  options.level = job.level;
  options.entry = entryName(job);
  options.argsDisjoint = job.disjoint;
  options.assembly = !how.sourcesDir.empty();
  if (!how.dumpDir.empty())
    options.dumpDir = how.dumpDir + "/" + job.kernel->id + "." + job.level;
  Result<CompiledKernel> compiled = compile(ttir, options);
  if (compiled) {
    job.object = asObject(std::move(*compiled), job.level);
    return;
  }
  job.diagnostics = compiled.diagnostics();
  for (Diagnostic &d : job.diagnostics)
    if (d.kernel.empty())
      d.kernel = job.kernel->name;
}

/// Runs `work(i)` for 0 <= i < count on a few threads.
template <typename Work> void onThreads(unsigned threads, size_t count, const Work &work) {
  std::atomic<size_t> next{0};
  auto loop = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;)
      work(i);
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads && t < count; ++t)
    others.emplace_back(loop);
  loop();
  for (std::thread &t : others)
    t.join();
}

/// The id is part of the key: two kernels of one text get two symbols.
std::vector<Job> planJobs(const Request &request, const std::map<std::string, std::string> &texts,
                          const BuildOptions &options) {
  std::set<std::string> aliased = kernelsWithAliases(request);
  std::vector<Job> jobs;
  for (const KernelRequest &kernel : request.kernels)
    for (const std::string &level : request.cpuLevels) {
      bool disjoint = !aliased.contains(kernel.id);
      std::string how = std::string("plugin ") + (disjoint ? "disjoint" : "aliased") + " " + kernel.id;
      jobs.push_back(
          {&kernel, level, package::cacheKey(texts.at(kernel.id), level, how, options.version), disjoint, {}, {}});
    }
  return jobs;
}

} // namespace

Result<BuildReport> buildPlugin(const Request &request, const BuildOptions &options, const CompileFunction &compile) {
  BuildReport report;
  Clock clock(report.stages);

  // The request, whole: what is wrong in names, types and programs shows before any kernel is compiled.
  if (Status good = package::checkRequest(request); !good)
    return good.diagnostics();
  if (Status good = package::checkOps(request); !good)
    return good.diagnostics();
  Result<std::map<std::string, std::string>> texts = readKernels(request, options.workspace);
  if (!texts)
    return texts.diagnostics();
  std::string cache = options.workspace + "/cache";
  if (Status made = package::makeDirectory(cache); !made)
    return made.diagnostics();
  clock.stage("check");

  // One object per kernel and level; unchanged ones are there already.
  std::vector<Job> jobs = planJobs(request, *texts, options);
  std::vector<Job *> missing;
  for (Job &job : jobs) {
    if (options.dumpDir.empty() && options.sourcesDir.empty()) // the cache has no texts
      job.object = package::readCache(cache, job.key);
    if (!job.object)
      missing.push_back(&job);
  }
  onThreads(options.threads, missing.size(),
            [&](size_t i) { compileJob(*missing[i], texts->at(missing[i]->kernel->id), options, compile); });
  Diagnostics failures;
  for (Job *job : missing) {
    // The levels of one kernel fail alike: say it once.
    bool said =
        !failures.empty() && !job->diagnostics.empty() && failures.back().str() == job->diagnostics.back().str();
    if (!said)
      failures.insert(failures.end(), job->diagnostics.begin(), job->diagnostics.end());
    if (job->object)
      if (Status written = package::writeCache(cache, job->key, *job->object); !written)
        return written.diagnostics();
  }
  if (!failures.empty())
    return failures;
  report.compiled = static_cast<uint32_t>(missing.size());
  report.reused = static_cast<uint32_t>(jobs.size() - missing.size());
  clock.stage("compile");

  std::vector<KernelObject> objects;
  for (Job &job : jobs) {
    job.object->kernel = job.kernel->id;
    objects.push_back(std::move(*job.object));
  }
  Result<package::Packaged> packaged = package::packagePlugin(
      request, objects, {options.workspace, options.runtimeArchive, "opwright " + options.version, options.sourcesDir});
  if (!packaged)
    return packaged.diagnostics();
  report.stages.insert(report.stages.end(), packaged->stages.begin(), packaged->stages.end());
  report.library = packaged->library;
  report.glibc = packaged->glibc;
  report.bytes = packaged->bytes;
  return report;
}

} // namespace opw::driver
