// Kernels whose programs wait for each other: a spin lock, a look-back over earlier programs. They must run in
// ascending order, each of them to its end, so that whoever waits for a lower program waits for one that runs.
#pragma once

#include "ir/module.h"

namespace opw::passes {

/// Whether a program may wait for another one: it polls, or reads atomically inside a `while`.
bool isOrderSensitive(const ir::Function &tile);

} // namespace opw::passes
