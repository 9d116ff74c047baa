// RegisterCustomOps: every op of the library into the domain of its namespace.
//
// Two libraries that create one domain in a session fail there, and the default namespace of all libraries is the same.
// So the first library notes its domain's address in the session's options, later ones add their ops to that domain:
//   opwright.domain.<ns>     = <pid>:<address>    another pid is ignored
//   opwright.op.<ns>::<name> = <hash> <file>      same hash = there already, another = refused
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/libc.h"
#include "core/state.h"

#include <atomic>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace opw::ort {
namespace {

constexpr uint32_t kMaxRuntimes = 4; // copies of ONNX Runtime in one process

/// The operators for one copy of ONNX Runtime, in the order of the tables. Made once, kept for ever.
struct Registered {
  std::atomic<Slots> slots;
  std::atomic<Operator *> operators;
};
Registered registered[kMaxRuntimes];

/// The minor number of "1.32.0".
uint32_t minorVersion(const ApiBase *base) {
  const char *text = base->GetVersionString();
  const char *dot = text ? strchr(text, '.') : nullptr;
  return dot ? static_cast<uint32_t>(strtol(dot + 1, nullptr, 10)) : 0;
}

/// ONNX Runtime has one schema for all versions of an op, so it gets the newest.
bool isNewest(const opw_op_t *op) {
  for (uint32_t i = 0; i < opw_tables.op_count; ++i) {
    const opw_op_t *other = opw_tables.ops[i];
    if (strcmp(other->ns, op->ns) == 0 && strcmp(other->name, op->name) == 0 && other->version > op->version)
      return false;
  }
  return true;
}

Operator *makeOperators(const Api &api) {
  auto *list = static_cast<Operator *>(calloc(opw_tables.op_count, sizeof(Operator)));
  for (uint32_t i = 0; list && i < opw_tables.op_count; ++i) {
    list[i].op = opw_tables.ops[i];
    list[i].api = api;
    fillCallbacks(list[i], i);
  }
  return list;
}

/// The operators of this copy of ONNX Runtime; a second thread that makes them at the same time keeps its own.
Operator *operatorsOf(const Api &api) {
  for (Registered &r : registered) {
    Slots there = r.slots.load(std::memory_order_acquire);
    if (there == api.table())
      if (Operator *list = r.operators.load(std::memory_order_acquire))
        return list;
    if (!there && r.slots.compare_exchange_strong(there, api.table())) {
      Operator *list = makeOperators(api);
      r.operators.store(list, std::memory_order_release);
      return list;
    }
  }
  return makeOperators(api);
}

/// A config entry of the session; empty when there is none.
void readEntry(const Api &api, SessionOptions *options, const char *key, char *value, size_t room) {
  const auto *reading = const_cast<const SessionOptions *>(options);
  int has = 0;
  size_t size = room;
  value[0] = 0;
  if (!api.ok(kHasSessionConfigEntry, reading, key, &has) || !has ||
      !api.ok(kGetSessionConfigEntry, reading, key, value, &size))
    value[0] = 0;
  value[room - 1] = 0;
}

Status *domainOf(const Api &api, SessionOptions *options, const char *ns, CustomOpDomain **domain) {
  char key[256], value[64];
  snprintf(key, sizeof key, "opwright.domain.%s", ns);
  readEntry(api, options, key, value, sizeof value);
  long pid = 0;
  unsigned long long address = 0;
  if (char *colon = strchr(value, ':')) {
    pid = strtol(value, nullptr, 10);
    address = strtoull(colon + 1, nullptr, 16);
  }
  if (pid == getpid() && address) {
    *domain = reinterpret_cast<CustomOpDomain *>(address);
    return nullptr;
  }
  if (Status *s = api.call(kCreateCustomOpDomain, ns, domain))
    return s;
  if (Status *s = api.call(kAddCustomOpDomain, options, *domain))
    return s;
  snprintf(value, sizeof value, "%d:%llx", static_cast<int>(getpid()),
           static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(*domain)));
  return api.call(kAddSessionConfigEntry, options, static_cast<const char *>(key), static_cast<const char *>(value));
}

/// "<hash> <file>" of this library.
void identity(char *text, size_t room) {
  size_t n = 0;
  for (uint8_t byte : opw_tables.hash)
    n += static_cast<size_t>(snprintf(text + n, room - n, "%02x", byte));
  Dl_info info{};
  const char *file = dladdr(&opw_tables, &info) && info.dli_fname ? info.dli_fname : opw_tables.name;
  snprintf(text + n, room - n, " %s", file ? file : "?");
}

/// Before 1.22 one op that the host cannot take fails the whole session, and its text does not name it.
Status *checkTypes(const Api &api, const opw_op_t *op) {
  uint32_t open = 0;
  for (uint32_t i = 0; i < op->input_count; ++i)
    open += commonType(op, *op->inputs[i]) == kUndefined;
  if (api.has(22) || open <= 1)
    return nullptr;
  char text[512];
  snprintf(text, sizeof text,
           "opwright: the op %s::%s takes several element types in %u inputs, which ONNX Runtime does from 1.22 on; "
           "update it, or build the library without that op",
           op->ns, op->name, open);
  return api.error(kNotImplemented, text);
}

Status *addOp(const Api &api, SessionOptions *options, const Operator &o, const char *mine) {
  char key[512], value[1024];
  snprintf(key, sizeof key, "opwright.op.%s::%s", o.op->ns, o.op->name);
  readEntry(api, options, key, value, sizeof value);
  if (value[0] && strncmp(value, mine, 64) == 0)
    return nullptr; // the same library again
  if (value[0]) {
    char text[1600];
    const char *theirs = strchr(value, ' '), *ours = strchr(mine, ' ');
    snprintf(text, sizeof text,
             "opwright: the op %s::%s is in two libraries of this session:%s and%s; rename it or leave one out",
             o.op->ns, o.op->name, theirs ? theirs : " ?", ours ? ours : " ?");
    return api.error(kInvalidArgument, text);
  }
  if (Status *s = checkTypes(api, o.op))
    return s;
  CustomOpDomain *domain = nullptr;
  if (Status *s = domainOf(api, options, o.op->ns, &domain))
    return s;
  if (Status *s = api.call(kCustomOpDomainAdd, domain, static_cast<const CustomOp *>(&o)))
    return s;
  return api.call(kAddSessionConfigEntry, options, static_cast<const char *>(key), mine);
}

} // namespace
} // namespace opw::ort

extern "C" OPW_EXPORT opw::ort::Status *RegisterCustomOps(opw::ort::SessionOptions *options,
                                                          const opw::ort::ApiBase *base) {
  using namespace opw::ort;
  Slots slots = base->GetApi(kApiVersion);
  if (!slots)
    return nullptr; // no way to say that ONNX Runtime is older than 1.18; it will say that the op is unknown
  uint32_t minor = minorVersion(base);
  Api api(slots, minor > kApiVersion ? minor : kApiVersion);
  opw::runtime::readEnvironment();
  Operator *operators = operatorsOf(api);
  if (!operators)
    return api.error(kFail, "opwright: no memory for the operators");
  char mine[1024];
  identity(mine, sizeof mine);
  for (uint32_t i = 0; i < opw_tables.op_count; ++i)
    if (isNewest(operators[i].op))
      if (Status *s = addOp(api, options, operators[i], mine))
        return s;
  return nullptr;
}
