#include "models/table/cost_table.hpp"

#include <algorithm>

namespace widthwise {

std::string_view to_string(Axis axis) {
  switch (axis) {
    case Axis::weight_bits:
      return "weight_bits";
    case Axis::activation_bits:
      return "activation_bits";
    case Axis::stored_input_bits:
      return "stored_input_bits";
    case Axis::stored_second_bits:
      return "stored_second_bits";
    case Axis::stored_output_bits:
      return "stored_output_bits";
    case Axis::input_on_chip:
      return "input_on_chip";
    case Axis::second_on_chip:
      return "second_on_chip";
    case Axis::output_on_chip:
      return "output_on_chip";
    case Axis::input_share:
      return "input_share";
    case Axis::output_share:
      return "output_share";
  }
  fail_invariant("unknown axis of a table", std::source_location::current());
}

bool CostTable::has(Axis axis) const {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

std::optional<std::string> CostTable::said(std::string_view key) const {
  for (const auto& [name, value] : provenance) {
    if (name == key) return value;
  }
  return std::nullopt;
}

}  // namespace widthwise
