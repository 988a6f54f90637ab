#include "models/hardware/area.hpp"

#include "models/base/error.hpp"
#include "models/hardware/engine.hpp"
#include "models/hardware/table_lookup.hpp"

namespace widthwise {

AreaEstimate estimate_area(const Accelerator& accelerator, const EnergyTable& table) {
  Diagnostics diagnostics;
  const auto memory_area = [&](const std::string& family, Bytes capacity) {
    return find_memory(table, family, capacity, diagnostics).area;
  };
  const Engine& engine = accelerator.engine;
  const Memory& memory = accelerator.memory;
  AreaEstimate area;
  area.array =
      find_unit(table, engine.unit, engine.lanes, engine.accumulator_bits, diagnostics).area *
      static_cast<double>(unit_count(engine));
  area.input_buffer = memory_area(memory.input_buffer.sram, memory.input_buffer.capacity);
  area.weight_buffer = memory_area(memory.weight_buffer.sram, memory.weight_buffer.capacity);
  area.output_buffer = memory_area(memory.output_buffer.sram, memory.output_buffer.capacity);
  if (memory.scratchpad) {
    area.scratchpad = memory_area(memory.scratchpad->sram, memory.scratchpad->capacity);
  }
  area.post = table.post.area_per_lane * static_cast<double>(accelerator.post_processing.lanes);
  diagnostics.throw_if_any();
  return area;
}

}  // namespace widthwise
