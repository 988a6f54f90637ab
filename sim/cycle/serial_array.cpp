// A bit-serial array: every unit takes a word of a row's bit-plane and one of a column's, counts
// the ones in their AND over its lanes, weighs the count with the planes' places and adds it up.
//
// A unit that takes an operand in parallel takes all planes of a piece in one cycle, which gives
// the same sum. The top plane of a signed operand weighs negatively. Operands are broadcast along
// rows and columns.
#include <algorithm>
#include <deque>
#include <map>

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
        padded_(shape.padded_columns()),
        words_(ceil_div(shape.products, kWordBits)),
        weight_planes_(shape.weight.passes * shape.weight.piece_bits),
        activation_planes_(shape.activation.passes * shape.activation.piece_bits),
        sums_(static_cast<std::size_t>(shape.rows * padded_)) {
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
    if (!columns_.contains(fold.n)) pack_columns();
    of_columns_ = &columns_.at(fold.n);
  }

  void tick(std::int64_t now) override {
    if (!busy_) return;
    const std::int64_t since = now - fold_.start;
    const std::int64_t pass = since / fold_.pass_cycles;
    const std::int64_t within = since % fold_.pass_cycles;
    const auto issues = static_cast<std::int64_t>(fold_.issues->size());
    const std::int64_t k_step =
        within < issues ? (*fold_.issues)[static_cast<std::size_t>(within)] : -1;
    if (k_step >= 0) {
      SerialCycle cycle;
      cycle.rows = fold_.m_count;
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
      cycle.y = of_columns_->words.data() +
                (k_step * weight_planes_ + y_plane) * words_ * of_columns_->elements;
      cycle.y_plane = words_ * of_columns_->elements;
      cycle.weights = places_[static_cast<std::size_t>(pass)].data();
      overflows_ += kernels_.serial(cycle, sums_.data(), shape_.rule);
    }
    if (pass == shape_.passes() - 1 && within == last_issue()) hand_over();
  }

  [[nodiscard]] bool empty() const override { return !busy_; }

 private:
  static std::int64_t place(std::int64_t plane, std::int64_t planes, bool is_signed) {
    const std::int64_t weight = std::int64_t{1} << plane;
    return is_signed && plane == planes - 1 ? -weight : weight;
  }

  [[nodiscard]] std::int64_t last_issue() const {
    std::int64_t last = static_cast<std::int64_t>(fold_.issues->size()) - 1;
    while ((*fold_.issues)[static_cast<std::size_t>(last)] < 0) --last;
    return last;
  }

  void hand_over() {
    auto* to = static_cast<PlainSums<std::int64_t>*>(fold_.sums.get());
    for (std::int64_t r = 0; r < fold_.m_count; ++r) {
      overflows_ += kernels_.wide.accumulate(
          to->at(fold_.m + r, fold_.n), sums_.data() + r * padded_, fold_.n_count, shape_.rule);
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

  void pack_rows() {
    rows_.elements = shape_.rows;
    const std::int64_t k_steps = fold_.operands->k_steps();
    rows_.words.assign(
        static_cast<std::size_t>(k_steps * activation_planes_ * words_ * rows_.elements), 0);
    for (std::int64_t k_step = 0; k_step < k_steps; ++k_step) {
      for (std::int64_t lane = 0; lane < shape_.products; ++lane) {
        pack(rows_, activation_planes_, k_step, lane,
             fold_.operands->activations(k_step, lane) + fold_.m, fold_.m_count);
      }
    }
  }

  void pack_columns() {
    Planes& planes = columns_[fold_.n];
    planes.elements = padded_;
    const std::int64_t k_steps = fold_.operands->k_steps();
    planes.words.assign(static_cast<std::size_t>(k_steps * weight_planes_ * words_ * padded_), 0);
    std::vector<std::int32_t> row(static_cast<std::size_t>(fold_.n_count));
    for (std::int64_t k_step = 0; k_step < k_steps; ++k_step) {
      for (std::int64_t lane = 0; lane < shape_.products; ++lane) {
        fold_.operands->weights(k_step, lane, fold_.n, fold_.n_count, row.data());
        pack(planes, weight_planes_, k_step, lane, row.data(), fold_.n_count);
      }
    }
  }

  ArrayShape shape_;
  const Kernels& kernels_;
  std::int64_t padded_, words_;
  std::int64_t weight_planes_, activation_planes_;
  std::vector<std::vector<std::int64_t>> places_;  // [pass][activation plane, weight plane]
  std::vector<std::int64_t> sums_;
  Fold fold_;
  bool busy_ = false;
  std::shared_ptr<BlockOperands> packed_from_;
  std::int64_t packed_rows_from_ = -1;
  Planes rows_;
  std::map<std::int64_t, Planes> columns_;  // by first output channel
  const Planes* of_columns_ = nullptr;
};

}  // namespace

std::unique_ptr<ArrayModel> make_serial_array(const ArrayShape& shape) {
  return std::make_unique<SerialArray>(shape);
}

}  // namespace widthwise::sim
