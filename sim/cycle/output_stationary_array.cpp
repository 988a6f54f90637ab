// A systolic array whose elements hold the sums of their outputs.
//
// Activations enter on the left, row r a cycle after row r-1, and move right; weights enter on top,
// column c a cycle after column c-1, and move down. An element that has met the last operands of a
// fold hands its sum over and starts at zero; how long the sums then take to leave the array is the
// controller's affair.
//
// Passes of wide operands follow each other in the stream of a fold; the shift of a pass is in its
// weights.
#include <algorithm>
#include <deque>

#include "sim/cycle/array_model.hpp"
#include "sim/cycle/operand_window.hpp"
#include "sim/cycle/plain_sums.hpp"

namespace widthwise::sim {

namespace {

constexpr std::int64_t kLead = 512;  // cycles that operands are fed ahead

template <class Sum>
class OutputStationaryArray : public ArrayModel {
 public:
  OutputStationaryArray(const ArrayShape& shape, const SumKernels<Sum>& kernels)
      : shape_(shape),
        kernels_(kernels),
        bricks_(bricks_of(shape, shape.activation, shape.weight)),
        padded_(shape.padded_columns()),
        x_streams_(shape.products * shape.activation.digits),
        y_streams_(shape.products * shape.weight.digits),
        window_(shape.rows, shape.columns, padded_, x_streams_, kLead),
        falling_length_(2 * (shape.rows + kLead + shape.columns)),
        falling_origin_(-shape.rows),
        falling_(static_cast<std::size_t>(falling_length_ * y_streams_ * padded_)),
        sums_(static_cast<std::size_t>(shape.rows * padded_)),
        row_(static_cast<std::size_t>(shape.columns)) {}

  [[nodiscard]] std::shared_ptr<OutputSums> new_sums(std::int64_t m,
                                                     std::int64_t n) const override {
    return std::make_shared<PlainSums<Sum>>(m, n);
  }

  void begin_fold(const Fold& fold) override {
    folds_.push_back(fold);
    fed_ = 0;
  }

  void tick(std::int64_t now) override {
    feed(now);
    SystolicCycle cycle;
    cycle.rows = shape_.rows;
    cycle.blocks = padded_ / kLaneBlock;
    cycle.bricks = bricks_.data();
    cycle.brick_count = static_cast<std::int64_t>(bricks_.size());
    cycle.chained = false;
    cycle.x = window_.registers(now);
    cycle.x_row = window_.row_stride();
    cycle.x_stream = window_.stream_stride();
    // The weights in row r entered on top r cycles ago.
    cycle.y = falling(now);
    cycle.y_row = -y_streams_ * padded_;
    cycle.y_stream = padded_;
    overflows_ += kernels_.systolic(cycle, sums_.data(), shape_.rule);
    collect(now);
  }

  [[nodiscard]] bool empty() const override { return folds_.empty(); }

 private:
  [[nodiscard]] static std::int64_t last_issue(const Fold& fold, std::int64_t passes) {
    std::int64_t last = static_cast<std::int64_t>(fold.issues->size()) - 1;
    while ((*fold.issues)[static_cast<std::size_t>(last)] < 0) --last;
    return fold.start + (passes - 1) * fold.pass_cycles + last;
  }

  std::int32_t* falling(std::int64_t cycle) {
    return falling_.data() + (cycle - falling_origin_) * y_streams_ * padded_;
  }

  void advance_falling(std::int64_t now) {
    if (now + kLead + shape_.columns <= falling_origin_ + falling_length_) return;
    const std::int64_t shift = now - shape_.rows - falling_origin_;
    const std::int64_t row = y_streams_ * padded_;
    if (shift >= falling_length_) {
      std::fill(falling_.begin(), falling_.end(), 0);
    } else {
      std::copy(falling_.begin() + shift * row, falling_.end(), falling_.begin());
      std::fill(falling_.end() - shift * row, falling_.end(), 0);
    }
    falling_origin_ += shift;
  }

  /// Puts operands of the youngest fold where rows and columns will find them.
  void feed(std::int64_t now) {
    window_.advance(now);
    advance_falling(now);
    if (folds_.empty()) return;
    const Fold& fold = folds_.back();
    const std::int64_t whole = shape_.passes() * fold.pass_cycles;
    if (fed_ == whole || fold.start + fed_ > now) return;
    const std::int64_t until = std::min(whole, now + kLead - fold.start);
    for (; fed_ < until; ++fed_) {
      const std::int64_t pass = fed_ / fold.pass_cycles;
      const std::int64_t within = fed_ % fold.pass_cycles;
      if (within >= static_cast<std::int64_t>(fold.issues->size())) continue;
      const std::int64_t k_step = (*fold.issues)[static_cast<std::size_t>(within)];
      if (k_step < 0) continue;
      issue(fold, k_step, pass / shape_.activation.passes, pass % shape_.activation.passes,
            fold.start + fed_);
    }
  }

  void issue(const Fold& fold, std::int64_t k_step, std::int64_t weight_pass,
             std::int64_t activation_pass, std::int64_t cycle) {
    const auto shift = static_cast<int>(weight_pass * shape_.weight.piece_bits +
                                        activation_pass * shape_.activation.piece_bits);
    for (std::int64_t product = 0; product < shape_.products; ++product) {
      const std::int32_t* from = fold.operands->activations(k_step, product) + fold.m;
      for (int digit = 0; digit < shape_.activation.digits; ++digit) {
        const std::int64_t stream = product * shape_.activation.digits + digit;
        for (std::int64_t r = 0; r < fold.m_count; ++r) {
          *window_.entry(r, stream, cycle) =
              shape_.activation.digit(from[r], activation_pass, digit);
        }
      }
      fold.operands->weights(k_step, product, fold.n, fold.n_count, row_.data());
      for (int digit = 0; digit < shape_.weight.digits; ++digit) {
        const std::int64_t stream = product * shape_.weight.digits + digit;
        for (std::int64_t c = 0; c < fold.n_count; ++c) {
          falling(cycle + c)[stream * padded_ + shape_.columns - 1 - c] =
              shape_.weight.digit(row_[static_cast<std::size_t>(c)], weight_pass, digit) *
              (1 << shift);
        }
      }
    }
  }

  /// Elements on the diagonal that the last operands of a fold have reached hand their sums over.
  void collect(std::int64_t now) {
    for (const Fold& fold : folds_) {
      const std::int64_t diagonal = now - last_issue(fold, shape_.passes());
      if (diagonal < 0) break;
      auto* sums = static_cast<PlainSums<Sum>*>(fold.sums.get());
      const std::int64_t last = std::min(diagonal, shape_.rows - 1);
      for (std::int64_t r = std::max<std::int64_t>(0, diagonal - shape_.columns + 1); r <= last;
           ++r) {
        const std::int64_t c = diagonal - r;
        Sum& sum = sums_[static_cast<std::size_t>(r * padded_ + shape_.columns - 1 - c)];
        if (r < fold.m_count && c < fold.n_count) {
          overflows_ += kernels_.accumulate(sums->at(fold.m + r, fold.n + c), &sum, 1, shape_.rule);
        }
        sum = 0;
      }
    }
    while (!folds_.empty() && now >= last_issue(folds_.front(), shape_.passes()) + shape_.rows - 1 +
                                         shape_.columns - 1) {
      folds_.pop_front();
    }
  }

  ArrayShape shape_;
  const SumKernels<Sum>& kernels_;
  std::vector<Brick> bricks_;
  std::int64_t padded_, x_streams_, y_streams_;
  OperandWindow window_;
  std::int64_t falling_length_, falling_origin_;
  std::vector<std::int32_t> falling_;  // [cycle][product, digit][column], columns a cycle apart
  std::vector<Sum> sums_;
  std::vector<std::int32_t> row_;
  std::deque<Fold> folds_;  // in flight, oldest first
  std::int64_t fed_ = 0;    // cycles of the youngest that have been fed
};

}  // namespace

std::unique_ptr<ArrayModel> make_output_stationary_array(const ArrayShape& shape) {
  const Kernels& kernels = best_kernels();
  if (sums_are_narrow(shape)) {
    return std::make_unique<OutputStationaryArray<std::int32_t>>(shape, kernels.narrow);
  }
  return std::make_unique<OutputStationaryArray<std::int64_t>>(shape, kernels.wide);
}

}  // namespace widthwise::sim
