// Writes an arena as a relocatable ELF object for x86-64. The same arena gives the same bytes.
#pragma once

#include "package/arena.h"

namespace opw::package {

/// `root` lies in the arena and becomes the hidden symbol `rootName`. `wanted` are undefined symbols that make the
/// linker take members out of an archive.
std::string writeObject(const Arena &arena, const void *root, const std::string &rootName,
                        const std::vector<std::string> &wanted);

} // namespace opw::package
