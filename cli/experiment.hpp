// Reads `experiment/1` files: what `widthwise run` would otherwise be told by options.
//
//   schema: experiment/1
//   name: resnet18 on bitfusion            # optional
//   description: ...                       # optional
//   accelerator: bitfusion_16x32           # as after -a; a path is taken from this file's folder,
//   network: resnet18                      # if there is such a file, as after -n
//   parameters: {sequence_length: 256}     # optional, of the network
//   bits: w4a4                             # optional: as after --bits
//   fidelity: tile                         # optional
//   set: {engine.rows: 8, memory.dram.bandwidth: 25.6 GB/s}      # optional: as after --set
//   batch: 4                               # optional
//   ignore: [Dropout]                      # optional
//   ideal_memory: false                    # optional
//   outputs: {json: a.json, csv: a.csv, trace: a.trace, vcd: a.vcd, report: a.html}   # optional
//
// The paths of outputs are taken from the folder that the program runs in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/run_request.hpp"
#include "models/config/yaml_reader.hpp"

namespace widthwise {

/// Throws InputError, all mistakes of the file at once.
RunRequest read_experiment(const std::string& path);

/// The same from text; `file` names it in messages and is what relative paths start from.
RunRequest parse_experiment(std::string_view text, const std::string& file);

/// A value, or a list of values, as it stands after '=' in an override; nothing for others.
std::optional<std::string> override_value(const YamlNode& node);

/// A section `set`: "engine.rows=8" of each entry; mistakes go to the section's problems.
void read_overrides(MapReader& section, std::vector<std::string>& overrides);

}  // namespace widthwise
