// Operands on their way through the rows of a systolic array.
//
// A row's operands move one column to the right each cycle, so that column c holds what entered c
// cycles ago, and row r starts r cycles late. The registers of a row are thus a window on the
// stream of what enters it; with the columns stored from right to left the window lies in memory as
// the stream does, and a cycle moves it by one element.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace widthwise::sim {

class OperandWindow {
 public:
  /// `lead` = elements that may be fed ahead of the present.
  OperandWindow(std::int64_t rows, std::int64_t columns, std::int64_t padded_columns,
                std::int64_t streams, std::int64_t lead)
      : rows_(rows),
        columns_(columns),
        streams_(streams),
        history_(rows + columns),
        ahead_(lead),
        length_(history_ + lead + padded_columns) {
    values_.resize(static_cast<std::size_t>(rows * streams * 2 * length_));
  }

  /// Makes room to feed cycles now..now+lead-1. What was fed before is kept, as far as a register
  /// may still hold it.
  void advance(std::int64_t now) {
    if (now + ahead_ <= origin_ + 2 * length_ - padding()) return;
    const std::int64_t keep_from = now - history_;
    const std::int64_t shift = keep_from - origin_;
    for (std::int64_t s = 0; s < rows_ * streams_; ++s) {
      std::int32_t* stream = values_.data() + s * 2 * length_;
      if (shift >= 2 * length_) {
        std::fill(stream, stream + 2 * length_, 0);
      } else {
        std::copy(stream + shift, stream + 2 * length_, stream);
        std::fill(stream + 2 * length_ - shift, stream + 2 * length_, 0);
      }
    }
    origin_ = keep_from;
  }

  /// Where the operand that enters `row` for the cycle `cycle` of the first row is kept; the next
  /// cycle's follows it.
  [[nodiscard]] std::int32_t* entry(std::int64_t row, std::int64_t stream, std::int64_t cycle) {
    return values_.data() + (row * streams_ + stream) * 2 * length_ + (cycle - origin_);
  }

  /// The registers of row 0, last column first; other rows and streams at the strides below.
  [[nodiscard]] const std::int32_t* registers(std::int64_t now) const {
    return values_.data() + (now - (columns_ - 1) - origin_);
  }
  [[nodiscard]] std::ptrdiff_t row_stride() const { return streams_ * 2 * length_ - 1; }
  [[nodiscard]] std::ptrdiff_t stream_stride() const { return 2 * length_; }

 private:
  [[nodiscard]] std::int64_t padding() const { return length_ - history_ - ahead_; }

  std::int64_t rows_, columns_, streams_;
  std::int64_t history_;  // cycles that registers reach back
  std::int64_t ahead_;
  std::int64_t length_;
  std::int64_t origin_ = -history_;  // cycle of the first value kept
  std::vector<std::int32_t> values_;
};

}  // namespace widthwise::sim
