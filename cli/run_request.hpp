// What a run is asked for, by options of the command line or by an experiment file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config/shipped_data.hpp"

namespace widthwise {

struct RunRequest {
  std::optional<Given> accelerator;
  std::optional<Given> table;  // in place of an accelerator
  std::optional<Given> network;
  std::optional<Given> bits;
  std::optional<Given> fidelity;
  std::optional<Given> batch;
  std::optional<bool> ideal_memory;
  std::vector<Given> parameters;         // "sequence_length=256"
  std::vector<std::string> overrides;    // "engine.rows=8"
  std::vector<std::string> ignore;       // operators
  std::optional<Given> seed;             // of random operands
  std::optional<Given> weights;          // "random" or "network"
  std::vector<Given> unsigned_operands;  // "weights", "activations"
  std::optional<Given> json;
  std::optional<Given> csv;
  std::optional<Given> trace;
  std::optional<Given> vcd;
  std::optional<Given> report;  // HTML

  /// Takes what is not said here from `other`; in lists its items come first, so that ours win.
  void fill_from(const RunRequest& other);
};

}  // namespace widthwise
