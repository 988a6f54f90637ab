// A layer without multiply-accumulates on one machine: its tensors stream through the
// post-processing unit in chunks, each a few memory requests, fetched ahead as far as the buffers
// hold them.
//
// Ignored: rows that neighbouring windows of a pool share are read once (a line buffer; errs low).
#pragma once

#include "models/cost/layer_model.hpp"

namespace widthwise {

struct VectorModel {
  VectorModel(const LayerSetting& setting, const Accelerator& accelerator);

  double input_bits[2] = {0, 0};  // from DRAM, from the scratchpad
  double output_bits = 0;
  Home output_home = Home::dram;
  double post_cycles = 0;
  std::int64_t chunks = 1;
  BufferSlots slots;
  [[nodiscard]] ClosedForm closed_form(const Accelerator& accelerator) const;
  [[nodiscard]] Activity activity(const Dram& dram) const;
  double outputs = 0, operations = 0;
};

}  // namespace widthwise
