// Reads `accelerator/1` files: the only way from YAML to an Accelerator. All values that come out
// are in range and fit together; everything wrong with a file is reported at once.
//
// Not checked here: whether the energy table has the rows that the accelerator names (the energy
// model does that when it looks them up).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/hardware/accelerator.hpp"

namespace widthwise {

/// `overrides` are "engine.rows=8", as after --set. The path of the energy table is taken relative
/// to the accelerator file. Throws InputError.
Accelerator read_accelerator(const std::string& path, std::span<const std::string> overrides = {});

/// The same from text; `file` names it in messages and is what relative paths start from. Whether
/// the energy table exists is not checked.
Accelerator parse_accelerator(std::string_view text, const std::string& file,
                              std::span<const std::string> overrides = {});

/// Every key that has a value, in the file's form: ("engine.rows", "16"). Given back as overrides
/// they make the same accelerator. Keys whose value follows from the dataflow and was not given
/// (engine.timing.load, ...) are absent.
std::vector<std::pair<std::string, std::string>> resolved_keys(const Accelerator& accelerator);

// The names that the file uses.
std::string_view to_string(EngineKind kind);
std::string_view to_string(Dataflow dataflow);
std::string_view to_string(Scaling scaling);
std::string_view to_string(SerialOperand serial);
std::string_view to_string(Reduction reduction);
std::string_view to_string(GroupMapping groups);
std::string_view to_string(WeightDelivery weights);
std::string_view to_string(VectorMapping mapping);
std::string_view to_string(FoldOverlap folds);
std::string_view to_string(AccumulatorOverflow overflow);
std::string_view to_string(InputLayout layout);
std::string_view to_string(Objective objective);
std::string_view to_string(LoopOrder order);

}  // namespace widthwise
