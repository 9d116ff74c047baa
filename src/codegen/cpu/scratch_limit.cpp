#include "codegen/cpu/scratch_limit.h"

#include "codegen/cpu/emitter.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace opw::cpu {

namespace {

constexpr uint64_t kMaxScratch = uint64_t{1} << 30;
constexpr size_t kNamed = 3; ///< buffers that the message names

std::string sizeText(uint64_t bytes) {
  char text[32];
  if (bytes >= kMaxScratch)
    std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / static_cast<double>(kMaxScratch));
  else
    std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

} // namespace

void limitScratch(const ir::Module &source, const ir::Function &fn, uint64_t total,
                  std::vector<std::pair<uint64_t, ir::OpId>> buffers) {
  if (total <= kMaxScratch || buffers.empty())
    return;
  std::sort(buffers.begin(), buffers.end(),
            [](const auto &a, const auto &b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::string largest;
  std::set<uint32_t> lines;
  for (const auto &[size, id] : buffers) {
    SourceRange where = sourceOf(source, fn.op(id).location);
    if (lines.size() == kNamed || where.line == 0 || !lines.insert(where.line).second)
      continue;
    largest += (largest.empty() ? "; the largest are of " : ", ") + where.file + ":" + std::to_string(where.line) +
               " (" + sizeText(size) + ")";
  }
  throw Refusal{{.where = sourceOf(source, fn.op(buffers.front().second).location),
                 .message = "the tiles that this kernel keeps take " + sizeText(total) +
                            " for each thread, expected at most " + sizeText(kMaxScratch) + largest,
                 .kernel = fn.name,
                 .hint = "use smaller blocks, or split the kernel so that fewer tiles are in use at once",
                 .required = total,
                 .limit = kMaxScratch}};
}

} // namespace opw::cpu
