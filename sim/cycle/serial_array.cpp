// A bit-serial array: every unit takes a word of a row's bit-plane and one of a column's, counts
// the ones in their AND over its lanes, weighs the count with the planes' places and adds it up.
//
// A unit that takes an operand in parallel takes all planes of a piece in one cycle, which gives
// the same sum. The top plane of a signed operand weighs negatively. Operands are broadcast along
// rows and columns.
//
// Columns may follow each other in time on one column of units. The rows may also take the steps of
// one output position in turn, each with the weights of its step for all passes; each row then adds
// up its steps of a block of output channels and hands the sums over when it goes on to the next.
#include <algorithm>
#include <deque>
#include <map>

#include "models/base/error.hpp"
#include "sim/cycle/array_model.hpp"
#include "sim/cycle/plain_sums.hpp"

namespace widthwise::sim {

namespace {

constexpr std::int64_t kWordBits = 64;

/// Bit-planes of rows or columns: [K-step][plane][word][element].
struct Planes {
  std::int64_t elements = 0;  // padded
  std::vector<std::uint64_t> words;
};

class SerialArray : public ArrayModel {
 public:
  explicit SerialArray(const ArrayShape& shape)
      : shape_(shape),
        kernels_(best_kernels()),
        columns_at_once_(shape.columns / shape.columns_in_time),
        padded_(ceil_div(columns_at_once_, kLaneBlock) * kLaneBlock),
        words_(ceil_div(shape.products, kWordBits)),
        weight_planes_(shape.weight.passes * shape.weight.piece_bits),
        activation_planes_(shape.activation.passes * shape.activation.piece_bits),
        sums_(static_cast<std::size_t>(shape.rows * padded_ * shape.columns_in_time)),
        turns_(static_cast<std::size_t>(shape.rows)) {
    places_.resize(static_cast<std::size_t>(shape.passes()));
    for (std::int64_t pass = 0; pass < shape.passes(); ++pass) {
      auto& places = places_[static_cast<std::size_t>(pass)];
      for (std::int64_t i = 0; i < shape.activation.piece_bits; ++i) {
        for (std::int64_t j = 0; j < shape.weight.piece_bits; ++j) {
          places.push_back(place(pass % shape.activation.passes * shape.activation.piece_bits + i,
                                 activation_planes_, shape.activation.is_signed) *
                           place(pass / shape.activation.passes * shape.weight.piece_bits + j,
                                 weight_planes_, shape.weight.is_signed));
        }
      }
    }
  }

  [[nodiscard]] std::shared_ptr<OutputSums> new_sums(std::int64_t m,
                                                     std::int64_t n) const override {
    return std::make_shared<PlainSums<std::int64_t>>(m, n);
  }

  void begin_fold(const Fold& fold) override {
    fold_ = fold;
    busy_ = true;
    if (packed_from_ != fold.operands) {
      packed_from_ = fold.operands;
      packed_rows_from_ = -1;
      columns_.clear();
    }
    if (packed_rows_from_ != fold.m) {
      packed_rows_from_ = fold.m;
      pack_rows();
    }
    last_issue_ = last_issue();
  }

  void tick(std::int64_t now) override {
    if (!busy_) return;
    const std::int64_t since = now - fold_.start;
    if (fold_.staggered) {
      tick_staggered(since);
      return;
    }
    if (fold_.timeline != nullptr) {
      const SerialIssue& issue = (*fold_.timeline)[static_cast<std::size_t>(since)];
      if (issue.k_step >= 0) {
        compute(fold_.m_count, issue.k_step, issue.pass, columns_from(fold_.n + issue.column),
                sums_.data() + issue.column * shape_.rows * padded_);
      }
      if (since == last_issue_) hand_over();
      return;
    }
    const std::int64_t pass = since / fold_.pass_cycles;
    const std::int64_t within = since % fold_.pass_cycles;
    const auto issues = static_cast<std::int64_t>(fold_.issues->size());
    const std::int64_t k_step =
        within < issues ? (*fold_.issues)[static_cast<std::size_t>(within)] : -1;
    if (k_step >= 0) compute(fold_.m_count, k_step, pass, columns_from(fold_.n), sums_.data());
    if (pass == shape_.passes() - 1 && within == last_issue_) hand_over();
  }

  [[nodiscard]] bool empty() const override { return !busy_; }

 private:
  /// The step that a row is at, where vectors are staggered.
  struct Turn {
    std::int64_t block = -1;  // of output channels that its sums are of; -1: none
    std::int64_t k_step = 0;
    std::int64_t pass = 0;
    bool works = false;
  };

  void tick_staggered(std::int64_t since) {
    const std::int64_t k_steps = fold_.operands->k_steps();
    if (since <= last_issue_) {
      const std::int64_t step = (*fold_.issues)[static_cast<std::size_t>(since)];
      if (step >= 0) {
        Turn& turn = turns_[static_cast<std::size_t>(step % shape_.rows)];
        ensure(!turn.works, "a row is done with a step before it takes the next");
        if (turn.block != step / k_steps) hand_over_row(step % shape_.rows);
        turn = {step / k_steps, step % k_steps, 0, true};
      }
    }
    bool works = false;
    for (std::int64_t row = 0; row < shape_.rows; ++row) {
      Turn& turn = turns_[static_cast<std::size_t>(row)];
      if (!turn.works) continue;
      // All rows see the one position; each has sums of its own.
      compute(1, turn.k_step, turn.pass, columns_from(turn.block * shape_.columns),
              sums_.data() + row * padded_);
      turn.works = ++turn.pass < shape_.passes();
      works = works || turn.works;
    }
    if (works || since < last_issue_) return;
    for (std::int64_t row = 0; row < shape_.rows; ++row) hand_over_row(row);
    busy_ = false;
  }

  void hand_over_row(std::int64_t row) {
    Turn& turn = turns_[static_cast<std::size_t>(row)];
    if (turn.block < 0) return;
    const std::int64_t first = turn.block * shape_.columns;
    auto* to = static_cast<PlainSums<std::int64_t>*>(fold_.sums.get());
    overflows_ +=
        kernels_.wide.accumulate(to->at(fold_.m, first), sums_.data() + row * padded_,
                                 std::min(shape_.columns, fold_.n_count - first), shape_.rule);
    std::fill_n(sums_.begin() + row * padded_, padded_, 0);
    turn.block = -1;
  }

  /// One cycle of the first `count` rows.
  void compute(std::int64_t count, std::int64_t k_step, std::int64_t pass, const Planes& columns,
               std::int64_t* sums) {
    SerialCycle cycle;
    cycle.rows = count;
    cycle.columns = padded_;
    cycle.words = words_;
    cycle.x_planes = shape_.activation.piece_bits;
    cycle.y_planes = shape_.weight.piece_bits;
    const std::int64_t x_plane = pass % shape_.activation.passes * shape_.activation.piece_bits;
    const std::int64_t y_plane = pass / shape_.activation.passes * shape_.weight.piece_bits;
    cycle.x =
        rows_.words.data() + (k_step * activation_planes_ + x_plane) * words_ * rows_.elements;
    cycle.x_plane = words_ * rows_.elements;
    cycle.x_word = rows_.elements;
    cycle.x_row = 1;
    cycle.y =
        columns.words.data() + (k_step * weight_planes_ + y_plane) * words_ * columns.elements;
    cycle.y_plane = words_ * columns.elements;
    cycle.weights = places_[static_cast<std::size_t>(pass)].data();
    overflows_ += kernels_.serial(cycle, sums, shape_.rule);
  }

  static std::int64_t place(std::int64_t plane, std::int64_t planes, bool is_signed) {
    const std::int64_t weight = std::int64_t{1} << plane;
    return is_signed && plane == planes - 1 ? -weight : weight;
  }

  [[nodiscard]] std::int64_t last_issue() const {
    if (fold_.timeline != nullptr) {
      auto last = static_cast<std::int64_t>(fold_.timeline->size()) - 1;
      while ((*fold_.timeline)[static_cast<std::size_t>(last)].k_step < 0) --last;
      return last;
    }
    std::int64_t last = static_cast<std::int64_t>(fold_.issues->size()) - 1;
    while ((*fold_.issues)[static_cast<std::size_t>(last)] < 0) --last;
    return last;
  }

  void hand_over() {
    auto* to = static_cast<PlainSums<std::int64_t>*>(fold_.sums.get());
    const std::int64_t turns = shape_.columns_in_time;
    for (std::int64_t r = 0; r < fold_.m_count; ++r) {
      const std::int64_t m = position(r);
      if (turns == 1) {
        overflows_ += kernels_.wide.accumulate(to->at(m, fold_.n), sums_.data() + r * padded_,
                                               fold_.n_count, shape_.rule);
        continue;
      }
      // Column j of copy t is output channel t x columns + j of the block.
      for (std::int64_t n = 0; n < fold_.n_count; ++n) {
        const std::int64_t at = (n % turns * shape_.rows + r) * padded_ + n / turns;
        overflows_ +=
            kernels_.wide.accumulate(to->at(m, fold_.n + n), sums_.data() + at, 1, shape_.rule);
      }
    }
    std::fill(sums_.begin(), sums_.end(), 0);
    busy_ = false;
  }

  /// Adds the bits of one lane of a K-step to all planes.
  void pack(Planes& planes, std::int64_t plane_count, std::int64_t k_step, std::int64_t lane,
            const std::int32_t* values, std::int64_t count) const {
    const auto bit = static_cast<unsigned>(lane % kWordBits);
    for (std::int64_t plane = 0; plane < plane_count; ++plane) {
      std::uint64_t* words =
          planes.words.data() +
          ((k_step * plane_count + plane) * words_ + lane / kWordBits) * planes.elements;
      for (std::int64_t i = 0; i < count; ++i) {
        words[i] |= static_cast<std::uint64_t>((values[i] >> plane) & 1) << bit;
      }
    }
  }

  /// Output position of a row.
  [[nodiscard]] std::int64_t position(std::int64_t row) const {
    return fold_.rows == nullptr ? fold_.m + row : (*fold_.rows)[static_cast<std::size_t>(row)];
  }

  void pack_rows() {
    rows_.elements = shape_.rows;
    std::vector<std::int32_t> values(static_cast<std::size_t>(fold_.m_count));
    const std::int64_t k_steps = fold_.operands->k_steps();
    rows_.words.assign(
        static_cast<std::size_t>(k_steps * activation_planes_ * words_ * rows_.elements), 0);
    for (std::int64_t k_step = 0; k_step < k_steps; ++k_step) {
      for (std::int64_t lane = 0; lane < shape_.products; ++lane) {
        const std::int32_t* all = fold_.operands->activations(k_step, lane);
        for (std::int64_t row = 0; row < fold_.m_count; ++row) {
          values[static_cast<std::size_t>(row)] = all[position(row)];
        }
        pack(rows_, activation_planes_, k_step, lane, values.data(), fold_.m_count);
      }
    }
  }

  /// Weights of the output channels from `first` on that are side by side: of all columns of all
  /// copies, or of the column of each copy whose turn it is.
  [[nodiscard]] const Planes& columns_from(std::int64_t first) {
    const auto found = columns_.find(first);
    return found != columns_.end() ? found->second : pack_columns(first);
  }

  const Planes& pack_columns(std::int64_t first) {
    Planes& planes = columns_[first];
    planes.elements = padded_;
    const std::int64_t turns = shape_.columns_in_time;
    const std::int64_t channels = std::max<std::int64_t>(0, fold_.n + fold_.n_count - first);
    const std::int64_t count = std::min(columns_at_once_, ceil_div(channels, turns));
    const std::int64_t k_steps = fold_.operands->k_steps();
    planes.words.assign(static_cast<std::size_t>(k_steps * weight_planes_ * words_ * padded_), 0);
    std::vector<std::int32_t> row(static_cast<std::size_t>(count));
    for (std::int64_t k_step = 0; k_step < k_steps; ++k_step) {
      for (std::int64_t lane = 0; lane < shape_.products; ++lane) {
        if (turns == 1) {
          fold_.operands->weights(k_step, lane, first, count, row.data());
        } else {
          for (std::int64_t copy = 0; copy < count; ++copy) {
            fold_.operands->weights(k_step, lane, first + copy * turns, 1,
                                    &row[static_cast<std::size_t>(copy)]);
          }
        }
        pack(planes, weight_planes_, k_step, lane, row.data(), count);
      }
    }
    return planes;
  }

  ArrayShape shape_;
  const Kernels& kernels_;
  std::int64_t columns_at_once_;  // of units: of all copies, or one of each
  std::int64_t padded_, words_;
  std::int64_t weight_planes_, activation_planes_;
  std::vector<std::vector<std::int64_t>> places_;  // [pass][activation plane, weight plane]
  std::vector<std::int64_t> sums_;                 // [column in time][row][column]
  std::vector<Turn> turns_;                        // of each row
  std::int64_t last_issue_ = 0;
  Fold fold_;
  bool busy_ = false;
  std::shared_ptr<BlockOperands> packed_from_;
  std::int64_t packed_rows_from_ = -1;
  Planes rows_;
  std::map<std::int64_t, Planes> columns_;  // by first output channel
};

}  // namespace

std::unique_ptr<ArrayModel> make_serial_array(const ArrayShape& shape) {
  return std::make_unique<SerialArray>(shape);
}

}  // namespace widthwise::sim
