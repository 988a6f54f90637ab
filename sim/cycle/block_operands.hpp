// What one step of a layer feeds into the array: the matrices of one pack of groups, as they lie in
// the input and weight buffers, cut into K-steps.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cost/layer_model.hpp"
#include "sim/cycle/operands.hpp"

namespace widthwise::sim {

/// How the reduction is cut into K-steps: with im2col over all terms (channel, kernel position),
/// else over the channels of some kernel positions after the other.
struct ReductionCut {
  bool im2col = false;
  std::int64_t lanes = 1;      // terms of a K-step, or of one kernel position in it
  std::int64_t positions = 1;  // kernel positions side by side
  bool folded = false;         // pixels of a stride are channels (engine.hpp)
  [[nodiscard]] std::int64_t all_lanes() const { return lanes * positions; }
};

/// M x K and K x N operands of a pack in one tile. Groups of a pack lie on the diagonal; lanes that
/// hold nothing give zeros.
class BlockOperands {
 public:
  /// `first_group` and `groups` of the pack. The operands outlive this.
  BlockOperands(const LayerOperands& layer, const TileBlock& block, std::int64_t first_group,
                std::int64_t groups, const ReductionCut& cut);

  [[nodiscard]] std::int64_t m() const { return block_.m(); }
  [[nodiscard]] std::int64_t n() const { return block_.n.size * groups_; }
  [[nodiscard]] std::int64_t k_steps() const { return k_steps_; }
  /// Whether a K-step is the last one of its run and uses part of the lanes only.
  [[nodiscard]] bool is_edge(std::int64_t k_step) const;

  /// The activations of all M positions at one lane of a K-step. Valid as long as this.
  [[nodiscard]] const std::int32_t* activations(std::int64_t k_step, std::int64_t lane);
  /// The weights of outputs first..first+count-1 at one lane of a K-step.
  void weights(std::int64_t k_step, std::int64_t lane, std::int64_t first, std::int64_t count,
               std::int32_t* to) const;

  [[nodiscard]] const TileBlock& block() const { return block_; }
  [[nodiscard]] std::int64_t first_group() const { return first_group_; }

 private:
  struct Term {
    std::int64_t channel = -1;  // of the pack; -1: none
    std::int64_t position = 0;  // of the kernel
  };
  [[nodiscard]] Term term(std::int64_t k_step, std::int64_t lane) const;
  void gather(const Term& term, std::int32_t* to) const;

  const LayerOperands* layer_;
  TileBlock block_;
  std::int64_t first_group_, groups_;
  ReductionCut cut_;
  std::int64_t kernel_, channels_;
  std::int64_t cut_kernel_ = 1,
               cut_kernel_w_ = 1;  // positions that follow each other, folded or not
  std::int64_t terms_ = 1, steps_per_run_ = 1, k_steps_ = 1;
  std::vector<std::int32_t> activations_;  // [k_steps x all lanes][m], as far as asked for
  std::vector<std::int8_t> gathered_;      // per K-step
};

}  // namespace widthwise::sim
