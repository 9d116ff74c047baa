// The tables of a library in one arena, with one of everything that the runtime reads, and calls of its ops. The arena
// knows its pointers, so that a target may change it: any other bit, and pointers to others of their type.
#pragma once

#include "choices.h"
#include "opwright/plugin.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <vector>

namespace opw::fuzz {

class Arena {
public:
  /// `count` zeroed values, with room for `most`: what a wrong count below the runtime's limit reaches is zero.
  template <typename T> T *make(size_t count, size_t most = 0) {
    auto *made = reinterpret_cast<T *>(take(sizeof(T) * (most > count ? most : count)));
    for (size_t i = 0; i < sizeof(T) * count; ++i)
      plain.push_back(reinterpret_cast<unsigned char *>(made) + i);
    return made;
  }
  /// Sets a pointer within the arena and remembers it.
  template <typename T> void point(const T *&field, const T *target) {
    static const char type = 0;
    field = target;
    keep(&field, sizeof field);
    pointers.push_back(
        {reinterpret_cast<const void **>(const_cast<const void **>(reinterpret_cast<const void *const *>(&field))),
         target, &type});
  }
  const char *text(const char *words);
  /// These bytes are not changed.
  void keep(const void *field, size_t bytes);

  /// One change: a bit, a small number, a null, or another pointer of the type.
  void damage(Choices &choices);
  /// Takes back all changes.
  void restore();

private:
  struct Pointer {
    const void **place;
    const void *target;
    const void *type;
  };
  struct Change {
    unsigned char *place;
    unsigned char old[8];
    size_t bytes;
  };
  unsigned char *take(size_t bytes);
  void write(void *place, const void *value, size_t bytes);

  static constexpr size_t kBytes = 24 << 20;
  std::unique_ptr<unsigned char, void (*)(void *)> memory{static_cast<unsigned char *>(std::calloc(1, kBytes)),
                                                          std::free};
  size_t used = 0;
  std::vector<unsigned char *> plain; ///< bytes that are neither in a pointer nor kept
  std::vector<Pointer> pointers;
  std::vector<Change> changes;
};

/// t::all and t::inplace; `opw_tables` of the process are these.
struct Library {
  Library();
  Arena arena;
  opw_op_t *all, *inplace;
  /// As if the library were loaded anew: nothing is validated yet.
  void forget();
};

/// A call made of choices; what it points to lives as long as it does. Memory is as large as the sizes and strides say,
/// so a read or write outside of it is the runtime's.
class Call {
public:
  enum Kind { Infer, Decide, Run };
  Call(const opw_op_t *op, Choices &choices, Kind kind);
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  opw_call_t call{};
  char text[256];
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};

private:
  opw_tensor_t *tensor(const opw_io_t &io, Choices &choices, Kind kind, bool output);
  void shape(opw_tensor_t &t, const opw_io_t &io, Choices &choices, Kind kind);
  void memory(opw_tensor_t &t, Choices &choices);
  void share(opw_tensor_t &first, opw_tensor_t &second, size_t offset);
  void attr(const opw_attr_t &attr, Choices &choices);

  std::deque<opw_tensor_t> tensors;
  std::deque<std::vector<int64_t>> numbers;
  std::map<void *, size_t> blocks; ///< with their bytes
  std::vector<const opw_tensor_t *> inputs;
  std::vector<opw_tensor_t *> outputs;
  std::vector<opw_attr_value_t> attrs;
  int64_t usual[OPW_MAX_RANK];
  int32_t usualRank;
  uint8_t usualBits;
};

/// A status of plugin.h with a text where it is no success; anything else is a bug, and aborts.
void requireStatus(opw_status_t status, Call &call);

} // namespace opw::fuzz
