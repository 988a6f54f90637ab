// A fractional bit-width that is learned, where the quantizers and whoever moves it meet.
#pragma once

#include <vector>

namespace widthwise {

/// One width for a whole tensor, or one per output channel of a layer's weights. Backward passes of
/// quantizers add dLoss/dbits to `gradient`; whoever takes the step reads and clears it.
struct WidthSlot {
  std::vector<float> bits;      // size 1 or output channels; whole from the freeze on
  std::vector<float> gradient;  // same size
  bool learned = false;         // false: backward passes leave `gradient` alone

  /// True if every width is whole: the quantizer then evaluates one level set only.
  [[nodiscard]] bool is_whole() const;
};

}  // namespace widthwise
