#include "core/state.h"

#include "core/cpu.h"
#include "core/pool.h"

#include <stdlib.h>
#include <string.h>

namespace opw::runtime {
namespace {

constexpr uint64_t kHeaderBytes = 4096, kOpBytes = 1024;

enum : uint32_t { kUnread, kReading, kRead };
std::atomic<uint32_t> environment{kUnread};
char tacticText[2048];

bool belongs(const opw_op_t *op) {
  for (uint32_t i = 0; i < opw_tables.op_count; ++i)
    if (opw_tables.ops[i] == op)
      return true;
  return false;
}

OpState &block(uint32_t i) {
  return *reinterpret_cast<OpState *>(static_cast<char *>(opw_tables.state) + kHeaderBytes + kOpBytes * i);
}

bool startsWith(const char *text, const char *end, const char *prefix, size_t length) {
  return static_cast<size_t>(end - text) >= length && memcmp(text, prefix, length) == 0;
}

/// Whether the key [p, end) of OPW_TACTIC names the op: "*" or "ns::name".
bool names(const char *p, const char *end, const opw_op_t *op) {
  if (end - p == 1 && *p == '*')
    return true;
  size_t ns = strlen(op->ns), name = strlen(op->name);
  return static_cast<size_t>(end - p) == ns + 2 + name && startsWith(p, end, op->ns, ns) &&
         memcmp(p + ns, "::", 2) == 0 && memcmp(p + ns + 2, op->name, name) == 0;
}

int32_t lookUpWish(const opw_op_t *op) {
  if (environment.load(std::memory_order_acquire) != kRead)
    return 0;
  for (const char *p = tacticText; *p;) {
    const char *end = p + strcspn(p, ";");
    const char *equals = static_cast<const char *>(memchr(p, '=', static_cast<size_t>(end - p)));
    if (equals && names(p, equals, op)) {
      long v = strtol(equals + 1, nullptr, 10);
      return v > 0 && v <= INT32_MAX ? static_cast<int32_t>(v) : 0;
    }
    p = *end ? end + 1 : end;
  }
  return 0;
}

} // namespace

OpState *opState(const opw_op_t *op) {
  uint32_t count = opw_tables.op_count;
  if (!op || count == 0 || !opw_tables.ops || !opw_tables.state ||
      opw_tables.state_bytes < kHeaderBytes + kOpBytes * count)
    return nullptr;
  uint64_t hash = (reinterpret_cast<uintptr_t>(op) >> 3) * UINT64_C(0x9E3779B97F4A7C15);
  auto at = static_cast<uint32_t>((hash >> 32) * count >> 32);
  for (uint32_t tries = 0; tries < count; ++tries, at = at + 1 == count ? 0 : at + 1) {
    OpState &state = block(at);
    const opw_op_t *owner = state.op.load(std::memory_order_acquire);
    if (owner == op)
      return &state;
    if (owner)
      continue;
    if (!belongs(op))
      return nullptr;
    if (state.op.compare_exchange_strong(owner, op) || owner == op)
      return &state;
  }
  return nullptr;
}

void readEnvironment() {
  uint32_t unread = kUnread;
  if (environment.load(std::memory_order_relaxed) != kUnread || !environment.compare_exchange_strong(unread, kReading))
    return;
  if (const char *text = getenv("OPW_TACTIC"); text && strlen(text) < sizeof tacticText)
    memcpy(tacticText, text, strlen(text) + 1);
  if (const char *text = getenv("OPW_CPU_LEVEL"))
    limitCpuLevel(cpuLevelOf(text));
  environment.store(kRead, std::memory_order_release);
}

int32_t wishedTactic(const opw_op_t *op, OpState &state) {
  int32_t wish = state.wished.load(std::memory_order_relaxed);
  if (wish == 0) {
    wish = lookUpWish(op);
    state.wished.store(wish == 0 ? -1 : wish, std::memory_order_relaxed);
  }
  return wish > 0 ? wish : 0;
}

} // namespace opw::runtime
