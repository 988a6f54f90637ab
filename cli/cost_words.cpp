#include "cli/cost_words.hpp"

#include <fmt/format.h>

#include "models/hardware/accelerator_reader.hpp"

namespace widthwise {

std::string widths_text(LayerWidths widths) {
  return fmt::format("w{}a{}", widths.weight, widths.activation);
}

std::string tile_sizes(const Tile& tile) {
  return fmt::format("{}x{}x{}x{}x{}{}", tile.batch, tile.out_h, tile.out_w, tile.out_channels,
                     tile.in_channels, tile.groups > 1 ? fmt::format("x{}", tile.groups) : "");
}

std::string tile_text(const Tile& tile) {
  return fmt::format("{}:{}", tile_sizes(tile), to_string(tile.order));
}

EnergyUnit energy_unit(Picojoules greatest) {
  constexpr EnergyUnit kUnits[] = {{"J", 1e12}, {"mJ", 1e9}, {"uJ", 1e6}, {"nJ", 1e3}};
  for (const EnergyUnit& unit : kUnits) {
    if (greatest.count() >= unit.picojoules) {
      return unit;
    }
  }
  return {"pJ", 1};
}

}  // namespace widthwise
