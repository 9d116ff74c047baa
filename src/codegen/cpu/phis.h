// Phis of carried values at the head of a loop, or at a join.
#pragma once

#include "codegen/cpu/emitter.h"

#include <vector>

namespace opw::cpu {

struct Phis {
  std::vector<llvm::SmallVector<llvm::PHINode *, 4>> nodes; ///< by carried value and part

  Parts values(size_t index) const { return Parts(nodes[index].begin(), nodes[index].end()); }

  void incoming(const std::vector<Parts> &values, llvm::BasicBlock *from) {
    for (size_t i = 0; i < nodes.size(); i++)
      for (size_t u = 0; u < nodes[i].size(); u++)
        nodes[i][u]->addIncoming(values[i][u], from);
  }
};

/// One phi at the builder's place for each of the values.
inline Phis makePhis(llvm::IRBuilder<> &b, const std::vector<Parts> &like) {
  Phis phis;
  for (const Parts &parts : like) {
    auto &nodes = phis.nodes.emplace_back();
    for (llvm::Value *part : parts)
      nodes.push_back(b.CreatePHI(part->getType(), 2));
  }
  return phis;
}

} // namespace opw::cpu
