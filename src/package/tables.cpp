#include "package/tables.h"

#include "package/faces.h"
#include "package/names.h"
#include "package/sha256.h"
#include "package/tables_op.h"

#include <algorithm>
#include <set>

namespace opw::package {
namespace {

void checkWhole(const Request &r) {
  if (r.library.empty() || r.library.find('/') != r.library.npos)
    refuse({}, "the library name '" + r.library + "', expected a file name without folders");
  if (r.ops.empty())
    refuse({}, "no ops", "declare at least one");
  if (r.cpuLevels.empty())
    refuse({}, "no cpu targets", "expected x86-64-v3, x86-64-v4 or both");
  std::set<std::string> seen;
  for (const std::string &level : r.cpuLevels) {
    if (level == "aarch64")
      refuse({}, "the cpu target 'aarch64', expected x86-64-v3 or x86-64-v4",
             "plugins for aarch64 are not supported yet");
    if (!levelByName(level))
      refuse({}, "the cpu target '" + level + "', expected x86-64-v3 or x86-64-v4");
    if (!seen.insert(level).second)
      refuse({}, "the cpu target '" + level + "' twice");
  }
  seen.clear();
  for (const KernelRequest &k : r.kernels)
    if (!seen.insert(k.id).second)
      refuse({}, "two kernels with the id '" + k.id + "'");
  seen.clear();
  for (const ConstantRequest &c : r.constants) {
    if (!seen.insert(c.id).second)
      refuse({}, "two constants with the id '" + c.id + "'");
    if (!dtypeByName(c.dtype))
      refuse({}, "the element type '" + c.dtype + "' of the constant " + c.id, "expected one of " + dtypeNames());
    if (c.shape.size() > OPW_MAX_RANK || std::any_of(c.shape.begin(), c.shape.end(), [](int64_t n) { return n < 0; }))
      refuse({}, "the shape of the constant " + c.id + ", expected at most 16 sizes from 0");
  }
  seen.clear();
  for (const OpRequest &op : r.ops)
    if (!seen.insert(fullName(r, op) + "@" + std::to_string(op.version)).second)
      refuse(fullName(r, op), "two ops of this name and version", "rename one of them");
  entryPoints(r);
}

std::map<std::string, uint32_t> kernelIndex(const Request &r) {
  std::map<std::string, uint32_t> index;
  for (const KernelRequest &k : r.kernels)
    index.emplace(k.id, static_cast<uint32_t>(index.size()));
  return index;
}

class KernelFiller {
public:
  KernelFiller(Arena &arena, const KernelRequest &source, const std::vector<KernelObject> &objects)
      : arena(arena), source(source), objects(objects) {}

  opw_kernel_t *fill() {
    opw_kernel_t *k = arena.make<opw_kernel_t>();
    k->struct_size = sizeof *k;
    k->line = source.line;
    arena.point(k->name, arena.text(source.name));
    arena.point(k->file, arena.text(source.file));
    Sha256 hash;
    hash.addField(source.id);
    std::vector<opw_cpu_image_t *> images;
    for (const KernelObject &object : objects)
      if (object.kernel == source.id) {
        images.push_back(image(object));
        hash.addField(object.level).addField(object.object);
      }
    Digest digest = hash.finish();
    std::copy(digest.begin(), digest.end(), k->hash);
    std::sort(images.begin(), images.end(),
              [](const opw_cpu_image_t *a, const opw_cpu_image_t *b) { return a->level < b->level; });
    const opw_cpu_image_t **array = arena.make<const opw_cpu_image_t *>(images.size());
    for (size_t i = 0; i < images.size(); ++i)
      arena.point(array[i], static_cast<const opw_cpu_image_t *>(images[i]));
    arena.point(k->cpu, static_cast<const opw_cpu_image_t *const *>(array));
    k->cpu_count = static_cast<uint32_t>(images.size());
    return k;
  }

private:
  Arena &arena;
  const KernelRequest &source;
  const std::vector<KernelObject> &objects;

  [[noreturn]] void no(std::string message) const {
    Diagnostic d;
    d.kernel = source.name;
    d.where = {source.file, source.line, 0};
    d.message = std::move(message);
    d.hint = "the arguments of the request and those of the TTIR must be the same, constexprs left out";
    throw Refused{{std::move(d)}};
  }

  opw_cpu_image_t *image(const KernelObject &object) {
    opw_cpu_image_t *t = arena.make<opw_cpu_image_t>();
    t->struct_size = sizeof *t;
    t->level = *levelByName(object.level);
    arena.symbol(t->entry, object.entry);
    t->scratch_bytes = object.scratchBytes;
    t->grain = std::max<int64_t>(object.grain, 1);
    t->flags = object.ordered ? uint32_t{OPW_CPU_ORDERED} : 0;
    std::vector<opw_param_t> params = parameters(object);
    arena.point(t->params, arena.copy(params));
    t->param_count = static_cast<uint32_t>(params.size());
    return t;
  }

  /// One entry per argument of the launch; what the kernel does not take any more is DROPPED, the rest gets slots in
  /// order.
  std::vector<opw_param_t> parameters(const KernelObject &object) const {
    std::vector<opw_param_t> params;
    uint32_t slot = 0;
    auto next = [&](const ParamRequest *declared) {
      if (slot >= object.params.size())
        no("the request declares more than the " + std::to_string(object.params.size()) +
           " arguments of the compiled kernel");
      const KernelObject::Param &real = object.params[slot];
      uint8_t type = real.dtype;
      if (declared && (declared->kind == "pointer") != real.pointer)
        no("argument " + std::to_string(slot) + " is declared a " + declared->kind + ", in the TTIR it is a " +
           (real.pointer ? "pointer" : "scalar"));
      if (declared && !real.pointer) {
        std::optional<uint8_t> d = dtypeByName(declared->dtype);
        if (!d || dtypeBytes(*d) != dtypeBytes(real.dtype) || (dtypeKind(*d) == 'f') != (dtypeKind(real.dtype) == 'f'))
          no("argument " + std::to_string(slot) + " is declared " + declared->dtype + ", in the TTIR it is " +
             dtypeName(real.dtype));
        type = *d; // the request knows the sign
      }
      params.push_back({static_cast<uint8_t>(real.pointer ? OPW_PARAM_POINTER : OPW_PARAM_SCALAR), type, 0, 0, slot});
      ++slot;
    };
    if (source.params.empty())
      for (size_t i = 0; i < object.params.size(); ++i)
        next(nullptr);
    for (const ParamRequest &p : source.params) {
      if (p.kind == "dropped")
        params.push_back({OPW_PARAM_DROPPED, OPW_NONE, 0, 0, 0});
      else if (p.kind == "pointer" || p.kind == "scalar")
        next(&p);
      else
        no("found a parameter of kind '" + p.kind + "', expected pointer, scalar or dropped");
    }
    if (slot != object.params.size())
      no("the request declares " + std::to_string(slot) + " arguments, the compiled kernel has " +
         std::to_string(object.params.size()));
    return params;
  }
};

/// `data` are its elements.
opw_constant_t *constant(Arena &arena, const ConstantRequest &c, const std::string &data) {
  constexpr size_t kAlign = 64;
  const uint8_t dtype = *dtypeByName(c.dtype);
  uint64_t bytes = dtypeBytes(dtype);
  bool overflow = false;
  for (int64_t n : c.shape)
    overflow = __builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes) || overflow;
  if (overflow || bytes != data.size())
    refuse({}, "the constant " + c.id + " in '" + c.file + "' with " + std::to_string(data.size()) +
                   " bytes, expected " + (overflow ? "fewer than 2^64" : std::to_string(bytes)) +
                   " by its shape and element type");
  opw_constant_t *t = arena.make<opw_constant_t>();
  t->struct_size = sizeof *t;
  t->align = kAlign;
  t->value.device_type = 1;
  t->value.ndim = static_cast<int32_t>(c.shape.size());
  t->value.dl_code = dlpackCode(dtype);
  t->value.dl_bits = static_cast<uint8_t>(8 * dtypeBytes(dtype));
  t->value.dl_lanes = 1;
  if (!data.empty())
    arena.point(t->value.data, static_cast<void *>(const_cast<char *>(arena.bytes(data, kAlign))));
  arena.point(t->value.shape, const_cast<int64_t *>(arena.copy(c.shape)));
  return t;
}

opw_tables_t *fill(Arena &arena, const Request &r, const std::vector<KernelObject> &objects,
                   const std::vector<std::string> &data, const std::string &producer) {
  checkWhole(r);
  std::map<std::string, uint32_t> index = kernelIndex(r);
  opw_tables_t *t = arena.make<opw_tables_t>();
  t->struct_size = sizeof *t;
  t->abi_minor = OPW_ABI_MINOR;
  arena.point(t->name, arena.text(r.library));
  arena.point(t->producer, arena.text(producer));
  const opw_op_t **ops = arena.make<const opw_op_t *>(r.ops.size());
  for (size_t i = 0; i < r.ops.size(); ++i)
    arena.point(ops[i], static_cast<const opw_op_t *>(fillOp(arena, r, r.ops[i], index)));
  arena.point(t->ops, static_cast<const opw_op_t *const *>(ops));
  t->op_count = static_cast<uint32_t>(r.ops.size());
  const opw_kernel_t **kernels = arena.make<const opw_kernel_t *>(r.kernels.size());
  for (size_t i = 0; i < r.kernels.size(); ++i)
    arena.point(kernels[i], static_cast<const opw_kernel_t *>(KernelFiller(arena, r.kernels[i], objects).fill()));
  arena.point(t->kernels, static_cast<const opw_kernel_t *const *>(kernels));
  t->kernel_count = static_cast<uint32_t>(r.kernels.size());
  const opw_constant_t **constants = arena.make<const opw_constant_t *>(r.constants.size());
  for (size_t i = 0; i < r.constants.size(); ++i)
    arena.point(constants[i], static_cast<const opw_constant_t *>(constant(arena, r.constants[i], data[i])));
  arena.point(t->constants, static_cast<const opw_constant_t *const *>(constants));
  t->constant_count = static_cast<uint32_t>(r.constants.size());
  t->state_bytes = OPW_STATE_BYTES(r.ops.size(), size_t{0});
  arena.point(t->state, arena.state(t->state_bytes));
  return t;
}

} // namespace

std::string fullName(const Request &request, const OpRequest &op) {
  return (op.ns.empty() ? request.ns : op.ns) + "::" + op.name;
}

Status checkRequest(const Request &request) {
  try {
    checkWhole(request);
    return ok();
  } catch (const Refused &refused) {
    return refused.diagnostics;
  }
}

Status checkOps(const Request &request) {
  Diagnostics all;
  std::map<std::string, uint32_t> index = kernelIndex(request);
  for (const OpRequest &op : request.ops) {
    Arena arena;
    try {
      fillOp(arena, request, op, index);
    } catch (const Refused &refused) {
      all.insert(all.end(), refused.diagnostics.begin(), refused.diagnostics.end());
    }
  }
  if (!all.empty())
    return all;
  return ok();
}

Result<opw_tables_t *> fillTables(Arena &arena, const Request &request, const std::vector<KernelObject> &objects,
                                  const std::vector<std::string> &constants, const std::string &producer) {
  try {
    return fill(arena, request, objects, constants, producer);
  } catch (const Refused &refused) {
    return refused.diagnostics;
  }
}

} // namespace opw::package
