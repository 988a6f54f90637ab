// A systolic array whose elements hold an operand: weights (M streams) or activations (N streams).
//
// Operands enter on the left, row r a cycle after row r-1, and move right; sums move down and leave
// below the last row. The stationary operands of the next fold are exchanged element by element as
// the first operand of its stream arrives, while the stream before is still on its way.
//
// Passes of wide operands come as folds of their own; the shift of a pass is in its stationary
// operands.
#include <algorithm>
#include <deque>

#include "sim/cycle/array_model.hpp"
#include "sim/cycle/operand_window.hpp"

namespace widthwise::sim {

namespace {

constexpr std::int64_t kLead = 512;  // operands fed at a time

/// Outputs as the columns deliver them: for each block of columns, element (i, c) of the stream in
/// row i + c, so that what leaves the array in one cycle is added to one row. Columns from right to
/// left.
template <class Sum>
class SkewedSums : public OutputSums {
 public:
  SkewedSums(std::int64_t streamed, std::int64_t held, bool n_streams, std::int64_t columns,
             std::int64_t padded)
      : n_streams_(n_streams), columns_(columns), padded_(padded), rows_(streamed + columns) {
    sums_.resize(static_cast<std::size_t>(ceil_div(held, columns) * rows_ * padded));
  }
  [[nodiscard]] std::int64_t get(std::int64_t m, std::int64_t n) const override {
    return sums_[index(m, n)];
  }
  void set(std::int64_t m, std::int64_t n, std::int64_t value) override {
    sums_[index(m, n)] = static_cast<Sum>(value);
  }
  Sum* row(std::int64_t block, std::int64_t number) {
    return sums_.data() + (block * rows_ + number) * padded_;
  }

 private:
  [[nodiscard]] std::size_t index(std::int64_t m, std::int64_t n) const {
    const std::int64_t streamed = n_streams_ ? n : m;
    const std::int64_t held = n_streams_ ? m : n;
    const std::int64_t column = held % columns_;
    return static_cast<std::size_t>((held / columns_ * rows_ + streamed + column) * padded_ +
                                    columns_ - 1 - column);
  }

  bool n_streams_;
  std::int64_t columns_, padded_, rows_;
  std::vector<Sum> sums_;
};

template <class Sum>
class StationaryArray : public ArrayModel {
 public:
  StationaryArray(const ArrayShape& shape, const SumKernels<Sum>& kernels)
      : shape_(shape),
        kernels_(kernels),
        n_streams_(shape.streams == StreamAxis::n),
        x_cut_(n_streams_ ? shape.weight : shape.activation),
        y_cut_(n_streams_ ? shape.activation : shape.weight),
        bricks_(bricks_of(shape, x_cut_, y_cut_)),
        padded_(shape.padded_columns()),
        x_streams_(shape.products * x_cut_.digits),
        y_streams_(shape.products * y_cut_.digits),
        window_(shape.rows, shape.columns, padded_, x_streams_, kLead),
        held_(static_cast<std::size_t>(shape.rows * y_streams_ * padded_)),
        sums_(static_cast<std::size_t>(shape.rows * padded_)) {}

  [[nodiscard]] std::shared_ptr<OutputSums> new_sums(std::int64_t m,
                                                     std::int64_t n) const override {
    return std::make_shared<SkewedSums<Sum>>(n_streams_ ? n : m, n_streams_ ? m : n, n_streams_,
                                             shape_.columns, padded_);
  }

  void begin_fold(const Fold& fold) override {
    InFlight flight;
    flight.fold = fold;
    flight.length = n_streams_ ? fold.n_count : fold.m_count;
    flight.columns = n_streams_ ? fold.m_count : fold.n_count;
    flight.block = (n_streams_ ? fold.m : fold.n) / shape_.columns;
    flight.sums = static_cast<SkewedSums<Sum>*>(fold.sums.get());
    flight.held = loaded(fold);
    flights_.push_back(std::move(flight));
    fed_ = 0;
  }

  void tick(std::int64_t now) override {
    feed(now);
    exchange(now);
    SystolicCycle cycle;
    cycle.rows = shape_.rows;
    cycle.blocks = padded_ / kLaneBlock;
    cycle.bricks = bricks_.data();
    cycle.brick_count = static_cast<std::int64_t>(bricks_.size());
    cycle.chained = true;
    cycle.x = window_.registers(now);
    cycle.x_row = window_.row_stride();
    cycle.x_stream = window_.stream_stride();
    cycle.y = held_.data();
    cycle.y_row = y_streams_ * padded_;
    cycle.y_stream = padded_;
    overflows_ += kernels_.systolic(cycle, sums_.data(), shape_.rule);
    collect(now);
  }

  [[nodiscard]] bool empty() const override { return flights_.empty(); }

 private:
  struct InFlight {
    Fold fold;
    std::int64_t length = 0, columns = 0, block = 0;
    SkewedSums<Sum>* sums = nullptr;
    std::vector<std::int32_t> held;  // its stationary operands, as in held_
  };

  /// The stationary operands of a fold in digits.
  std::vector<std::int32_t> loaded(const Fold& fold) {
    std::vector<std::int32_t> held(held_.size());
    const std::int64_t columns = n_streams_ ? fold.m_count : fold.n_count;
    const std::int64_t pass = n_streams_ ? fold.activation_pass : fold.weight_pass;
    const auto shift = static_cast<int>(fold.weight_pass * shape_.weight.piece_bits +
                                        fold.activation_pass * shape_.activation.piece_bits);
    std::vector<std::int32_t> row(static_cast<std::size_t>(columns));
    for (std::int64_t lane = 0; lane < shape_.rows * shape_.products; ++lane) {
      const std::int32_t* from = row.data();
      if (n_streams_) {
        from = fold.operands->activations(fold.k_step, lane) + fold.m;
      } else {
        fold.operands->weights(fold.k_step, lane, fold.n, columns, row.data());
      }
      for (int digit = 0; digit < y_cut_.digits; ++digit) {
        std::int32_t* to = held.data() + (lane * y_cut_.digits + digit) * padded_;
        for (std::int64_t c = 0; c < columns; ++c) {
          to[shape_.columns - 1 - c] = y_cut_.digit(from[c], pass, digit) * (1 << shift);
        }
      }
    }
    return held;
  }

  /// Puts operands of the youngest fold where the rows will find them.
  void feed(std::int64_t now) {
    window_.advance(now);
    if (flights_.empty()) return;
    const InFlight& flight = flights_.back();
    const Fold& fold = flight.fold;
    if (fed_ == flight.length || fold.start + fed_ * fold.interval > now) return;
    const std::int64_t until =
        std::min(flight.length, (now + kLead - 1 - fold.start) / fold.interval + 1);
    const std::int64_t pass = n_streams_ ? fold.weight_pass : fold.activation_pass;
    std::vector<std::int32_t>& row = row_;
    row.resize(static_cast<std::size_t>(until - fed_));
    for (std::int64_t lane = 0; lane < shape_.rows * shape_.products; ++lane) {
      const std::int32_t* from = row.data();
      if (n_streams_) {
        fold.operands->weights(fold.k_step, lane, fold.n + fed_, until - fed_, row.data());
      } else {
        from = fold.operands->activations(fold.k_step, lane) + fold.m + fed_;
      }
      const std::int64_t product = lane % shape_.products;
      for (int digit = 0; digit < x_cut_.digits; ++digit) {
        std::int32_t* to = window_.entry(lane / shape_.products, product * x_cut_.digits + digit,
                                         fold.start + fed_ * fold.interval);
        if (x_cut_.whole() && fold.interval == 1) {
          std::copy(from, from + (until - fed_), to);
        } else {
          for (std::int64_t i = 0; i < until - fed_; ++i) {
            to[i * fold.interval] = x_cut_.digit(from[i], pass, digit);
          }
        }
      }
    }
    fed_ = until;
  }

  /// The wavefront of a new fold exchanges the stationary operands on its diagonal.
  void exchange(std::int64_t now) {
    for (InFlight& flight : flights_) {
      const std::int64_t diagonal = now - flight.fold.start;
      const std::int64_t last = std::min(diagonal, shape_.rows - 1);
      for (std::int64_t r = std::max<std::int64_t>(0, diagonal - shape_.columns + 1); r <= last;
           ++r) {
        const std::int64_t column = shape_.columns - 1 - (diagonal - r);
        const std::int64_t at = r * y_streams_ * padded_ + column;
        for (std::int64_t s = 0; s < y_streams_; ++s) {
          held_[static_cast<std::size_t>(at + s * padded_)] =
              flight.held[static_cast<std::size_t>(at + s * padded_)];
        }
      }
    }
  }

  /// Adds what has left the last row to the accumulators.
  void collect(std::int64_t now) {
    const Sum* bottom = sums_.data() + (shape_.rows - 1) * padded_;
    for (InFlight& flight : flights_) {
      // Column c delivers element i of the stream rows - 1 + c cycles after it has entered.
      const std::int64_t since = now - flight.fold.start - (shape_.rows - 1);
      if (since < 0) break;
      if (flight.fold.interval == 1) {
        const std::int64_t first = std::max<std::int64_t>(0, since - flight.length + 1);
        const std::int64_t last = std::min(since, flight.columns - 1);
        if (first > last) continue;
        const std::int64_t left = shape_.columns - 1 - last;
        overflows_ += kernels_.accumulate(flight.sums->row(flight.block, since) + left,
                                          bottom + left, last - first + 1, shape_.rule);
        continue;
      }
      for (std::int64_t c = 0; c < flight.columns && c <= since; ++c) {
        const std::int64_t i = (since - c) / flight.fold.interval;
        if ((since - c) % flight.fold.interval != 0 || i >= flight.length) continue;
        const std::int64_t column = shape_.columns - 1 - c;
        overflows_ += kernels_.accumulate(flight.sums->row(flight.block, i + c) + column,
                                          bottom + column, 1, shape_.rule);
      }
    }
    const auto left = [&](const InFlight& flight) {
      return now >= flight.fold.start + (flight.length - 1) * flight.fold.interval + shape_.rows -
                        1 + shape_.columns - 1;
    };
    while (!flights_.empty() && left(flights_.front())) flights_.pop_front();
  }

  ArrayShape shape_;
  const SumKernels<Sum>& kernels_;
  bool n_streams_;
  OperandCut x_cut_, y_cut_;
  std::vector<Brick> bricks_;
  std::int64_t padded_, x_streams_, y_streams_;
  OperandWindow window_;
  std::vector<std::int32_t> held_;  // [row][product, digit][column]
  std::vector<Sum> sums_;
  std::deque<InFlight> flights_;  // oldest first
  std::int64_t fed_ = 0;          // operands of the youngest fold that are in the window
  std::vector<std::int32_t> row_;
};

}  // namespace

std::unique_ptr<ArrayModel> make_stationary_array(const ArrayShape& shape) {
  const Kernels& kernels = best_kernels();
  if (sums_are_narrow(shape)) {
    return std::make_unique<StationaryArray<std::int32_t>>(shape, kernels.narrow);
  }
  return std::make_unique<StationaryArray<std::int64_t>>(shape, kernels.wide);
}

}  // namespace widthwise::sim
