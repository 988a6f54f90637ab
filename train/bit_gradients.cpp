#include "train/bit_gradients.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/base/error.hpp"

namespace widthwise {

BitGradients::BitGradients(std::size_t layers) : sums_(layers, 0.0) {
  ensure(layers > 0, "there are layers");
}

void BitGradients::add(std::span<const double> mean_absolute_gradient) {
  ensure(mean_absolute_gradient.size() == sums_.size(), "a gradient per layer");
  // The 2 of every layer cancels out.
  const double all =
      std::accumulate(mean_absolute_gradient.begin(), mean_absolute_gradient.end(), 0.0);
  if (!(all > 0) || !std::isfinite(all)) return;
  for (std::size_t l = 0; l < sums_.size(); ++l) {
    ensure(mean_absolute_gradient[l] >= 0, "absolute values");
    sums_[l] += mean_absolute_gradient[l] / all;
  }
  batches_ += 1;
}

std::vector<double> BitGradients::sensitivities() const {
  if (batches_ == 0)
    return std::vector<double>(sums_.size(), 1 / static_cast<double>(sums_.size()));
  std::vector<double> means = sums_;
  for (double& mean : means) mean /= batches_;
  return means;
}

void BitGradients::clear() {
  std::fill(sums_.begin(), sums_.end(), 0.0);
  batches_ = 0;
}

std::vector<double> BitGradients::state() const {
  std::vector<double> state = sums_;
  state.push_back(batches_);
  return state;
}

void BitGradients::restore(std::span<const double> state) {
  ensure(state.size() == sums_.size() + 1, "the state is one of these layers");
  std::copy_n(state.begin(), sums_.size(), sums_.begin());
  batches_ = state.back();
}

}  // namespace widthwise
