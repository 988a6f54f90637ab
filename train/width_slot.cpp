#include "train/width_slot.hpp"

#include <algorithm>
#include <cmath>

namespace widthwise {

bool WidthSlot::is_whole() const {
  return std::ranges::all_of(bits, [](float width) { return width == std::floor(width); });
}

}  // namespace widthwise
