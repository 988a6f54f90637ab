#include "sim/cycle/block_operands.hpp"

#include <algorithm>

namespace widthwise::sim {

BlockOperands::BlockOperands(const LayerOperands& layer, const TileBlock& block,
                             std::int64_t first_group, std::int64_t groups, const ReductionCut& cut)
    : layer_(&layer),
      block_(block),
      first_group_(first_group),
      groups_(groups),
      cut_(cut),
      kernel_(layer.shape.kernel_h * layer.shape.kernel_w),
      channels_(block.k.size * groups) {
  const ComputeShape& shape = layer.shape;
  const std::int64_t down = cut.folded ? shape.stride_h : 1;
  const std::int64_t across = cut.folded ? shape.stride_w : 1;
  cut_kernel_w_ = ceil_div(shape.kernel_w, across);
  cut_kernel_ = ceil_div(shape.kernel_h, down) * cut_kernel_w_;
  terms_ = cut.im2col ? channels_ * kernel_ : channels_ * down * across;
  steps_per_run_ = ceil_div(terms_, cut.lanes);
  k_steps_ = steps_per_run_ * (cut.im2col ? 1 : ceil_div(cut_kernel_, cut.positions));
  activations_.resize(static_cast<std::size_t>(k_steps_ * cut.all_lanes() * m()));
  gathered_.resize(static_cast<std::size_t>(k_steps_));
}

bool BlockOperands::is_edge(std::int64_t k_step) const {
  return terms_ % cut_.lanes > 0 && k_step % steps_per_run_ == steps_per_run_ - 1;
}

BlockOperands::Term BlockOperands::term(std::int64_t k_step, std::int64_t lane) const {
  const std::int64_t index = k_step % steps_per_run_ * cut_.lanes + lane % cut_.lanes;
  if (index >= terms_) return {};
  if (cut_.im2col) return {index / kernel_, index % kernel_};
  const std::int64_t position = k_step / steps_per_run_ * cut_.positions + lane / cut_.lanes;
  if (position >= cut_kernel_) return {};
  if (!cut_.folded) return {index, position};
  // The pixel of the stride that the channel stands for tells which tap of the kernel it is.
  const ComputeShape& shape = layer_->shape;
  const std::int64_t pixel = index / channels_;
  const std::int64_t row = position / cut_kernel_w_ * shape.stride_h + pixel / shape.stride_w;
  const std::int64_t column = position % cut_kernel_w_ * shape.stride_w + pixel % shape.stride_w;
  if (row >= shape.kernel_h || column >= shape.kernel_w) return {};
  return {index % channels_, row * shape.kernel_w + column};
}

void BlockOperands::gather(const Term& term, std::int32_t* to) const {
  if (term.channel < 0) {
    std::fill(to, to + m(), 0);
    return;
  }
  const ComputeShape& shape = layer_->shape;
  const std::int64_t group = first_group_ + term.channel / block_.k.size;
  const std::int64_t channel =
      group * shape.in_channels + block_.k.begin + term.channel % block_.k.size;
  const std::int64_t down = term.position / shape.kernel_w * shape.dilation_h - shape.pad_top;
  const std::int64_t across = term.position % shape.kernel_w * shape.dilation_w - shape.pad_left;
  for (std::int64_t b = 0; b < block_.batch.size; ++b) {
    const std::int32_t* plane =
        layer_->input.data() +
        ((block_.batch.begin + b) * shape.groups * shape.in_channels + channel) * shape.in_h *
            shape.in_w;
    for (std::int64_t row = 0; row < block_.rows.size; ++row) {
      const std::int64_t y = (block_.rows.begin + row) * shape.stride_h + down;
      if (y < 0 || y >= shape.in_h) {
        to = std::fill_n(to, block_.columns.size, 0);
        continue;
      }
      const std::int32_t* line = plane + y * shape.in_w;
      const std::int64_t x0 = block_.columns.begin * shape.stride_w + across;
      // Columns from `first` to before `last` lie inside the input.
      const std::int64_t count = block_.columns.size;
      const std::int64_t first = std::clamp<std::int64_t>(
          ceil_div(std::max<std::int64_t>(-x0, 0), shape.stride_w), 0, count);
      const std::int64_t last = std::clamp<std::int64_t>(
          ceil_div(std::max<std::int64_t>(shape.in_w - x0, 0), shape.stride_w), first, count);
      to = std::fill_n(to, first, 0);
      if (shape.stride_w == 1) {
        to = std::copy(line + x0 + first, line + x0 + last, to);
      } else {
        for (std::int64_t column = first; column < last; ++column) {
          *to++ = line[x0 + column * shape.stride_w];
        }
      }
      to = std::fill_n(to, count - last, 0);
    }
  }
}

const std::int32_t* BlockOperands::activations(std::int64_t k_step, std::int64_t lane) {
  auto& gathered = gathered_[static_cast<std::size_t>(k_step)];
  const std::int64_t lanes = cut_.all_lanes();
  std::int32_t* step = activations_.data() + k_step * lanes * m();
  if (gathered == 0) {
    for (std::int64_t l = 0; l < lanes; ++l) gather(term(k_step, l), step + l * m());
    gathered = 1;
  }
  return step + lane * m();
}

void BlockOperands::weights(std::int64_t k_step, std::int64_t lane, std::int64_t first,
                            std::int64_t count, std::int32_t* to) const {
  const Term at = term(k_step, lane);
  std::fill(to, to + count, 0);
  if (at.channel < 0) return;
  const ComputeShape& shape = layer_->shape;
  const std::int64_t in_pack = at.channel / block_.k.size;  // off the diagonal there is nothing
  const std::int64_t k = (block_.k.begin + at.channel % block_.k.size) * kernel_ + at.position;
  const std::int32_t* row = layer_->weights.data() +
                            ((first_group_ + in_pack) * shape.k() + k) * shape.n() + block_.n.begin;
  const std::int64_t begin = in_pack * block_.n.size;
  const std::int64_t from = std::max(first, begin);
  const std::int64_t until = std::min(first + count, begin + block_.n.size);
  for (std::int64_t i = from; i < until; ++i) to[i - first] = row[i - begin];
}

}  // namespace widthwise::sim
