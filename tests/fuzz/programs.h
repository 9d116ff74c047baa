// Random postfix programs over the tensors, attributes and pools of t::all (library.h): most are valid by construction.
#pragma once

#include "choices.h"
#include "opwright/plugin.h"

#include <vector>

namespace opw::fuzz {

struct RandomProgram {
  std::vector<opw_insn_t> code;
  opw_program_t view{};
};

/// A valid program of an integer, or of a float where `isFloat`; `size` is about its number of instructions.
RandomProgram validProgram(Choices &choices, size_t size, bool isFloat = false);

/// Any bytes as instructions.
RandomProgram anyProgram(Choices &choices);

} // namespace opw::fuzz
