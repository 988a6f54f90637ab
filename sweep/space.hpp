// A hardware design space as plain data, as a `space/1` file says it (docs/file_formats.md): which
// keys of an accelerator take which values, which machines are left out, what is worked out at
// each, and in which order machines are looked at.
//
// A cell is a combination of the axes' values: their indices as digits of one number, the last
// axis' fastest. Every result is kept under its cell, so that it does not depend on the order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/base/error.hpp"
#include "models/config/shipped_data.hpp"
#include "models/cost/cost_report.hpp"
#include "models/network/load_network.hpp"
#include "models/network/widths.hpp"
#include "search/network_search.hpp"
#include "search/sensitivity.hpp"

namespace widthwise {

/// Keys of an axis that are not keys of the accelerator file.
inline constexpr const char* kAcceleratorAxis = "accelerator";  // which file
inline constexpr const char* kBitsAxis = "bits";                // which assignment

struct SpaceAxis {
  std::string key;
  std::vector<std::string> values;  // as they stand in a file
  SourcePlace place;
};

/// A key whose value follows from others.
struct DerivedKey {
  enum class Rule {
    computed,  // of the expression
    greatest,  // of the candidates at which the condition holds
    least,
  };
  std::string key;
  Rule rule = Rule::computed;
  std::string expression;               // or condition
  std::vector<std::string> candidates;  // as they stand in a file
  SourcePlace place;
};

struct Condition {
  std::string expression;
  SourcePlace place;
  std::string key;
};

struct SpaceNetwork {
  Given name;
  NetworkSource source;
  double weight = 1;               // of its figures in the sums over networks
  SensitivityRequest sensitivity;  // its `file` is looked up
  bool has_losses = false;         // a sensitivity was given
};

struct StrategySettings {
  enum class Kind {
    grid,    // all cells
    random,  // `points` of them, none twice
    sobol,   // `points` draws of Sobol's sequence; draws in one cell count once
    nsga2,   // evolution towards the front of all objectives (Deb et al. 2002)
  };
  Kind kind = Kind::grid;
  std::uint64_t points = 1000;
  std::uint64_t seed = 1;
  std::size_t population = 40;   // nsga2: a multiple of 4, at least 8
  std::size_t generations = 25;  // nsga2
};

struct Space {
  std::string name;
  std::string description;
  std::string file;                    // for messages
  Given accelerator;                   // a path; with an axis `accelerator`, unused
  std::vector<std::string> overrides;  // "engine.rows=8", of all machines
  std::vector<SpaceAxis> axes;
  std::vector<DerivedKey> derived;     // in order: later ones may use earlier ones
  std::vector<Condition> constraints;  // a machine at which one is 0 is left out
  std::vector<SpaceNetwork> networks;
  std::string bits;                     // assignment at every machine: a path or "w4a4"
  std::optional<SearchRequest> search;  // or the best widths of each
  Fidelity fidelity = Fidelity::analytic;
  std::vector<std::string> objectives;           // metrics, all to be small
  std::vector<std::vector<std::size_t>> fronts;  // indices of two or three objectives
  StrategySettings strategy;
  std::string identity;  // text of all that results follow from; two sweeps with one are one
};

/// Names of the figures of a machine, all sums over networks by weight but the area:
/// latency_s, energy_pj, edp_js (of the sums), area_mm2, loss, dram_bytes, weight_bytes.
const std::vector<std::string>& sweep_metrics();

}  // namespace widthwise
