// Writes an arena as a relocatable ELF object for x86-64. The same arena gives the same bytes.
#pragma once

#include "package/arena.h"

namespace opw::package {

/// A function for hosts that give it no pointer of its own: it puts `number` into the register of a fifth argument and
/// goes on to `target`, a hidden function of the runtime.
struct Stub {
  std::vector<std::string> names; ///< its exported symbols
  uint32_t number;
  std::string target;
};

/// `root` lies in the arena and becomes the hidden symbol `rootName`. `wanted` are undefined symbols that make the
/// linker take members out of an archive.
std::string writeObject(const Arena &arena, const void *root, const std::string &rootName,
                        const std::vector<std::string> &wanted, const std::vector<Stub> &stubs);

} // namespace opw::package
