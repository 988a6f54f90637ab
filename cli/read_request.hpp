// From what a command was given to what it works on: files are read, names looked up, numbers
// checked. All functions throw InputError at the place where the text was given or in its file.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/run_request.hpp"
#include "models/base/error.hpp"
#include "models/cost/cost_report.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/load_network.hpp"
#include "models/network/widths.hpp"

namespace widthwise {

/// What `read` returns; nothing after its mistakes were added to `problems`.
template <class Read>
auto collecting(Diagnostics& problems, Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const InputError& error) {
    problems.append(error.diagnostics());
    return std::nullopt;
  }
}

[[noreturn]] void refuse(const Given& given, const std::string& message);

/// Which of the names was given.
std::size_t read_name(const Given& given, const std::vector<std::string>& names);

/// A whole number within the bounds.
std::int64_t read_integer_in(const Given& given, std::int64_t least, std::int64_t greatest);

/// Worker processes; as many as processors if it is not said.
std::size_t read_jobs(const std::optional<Given>& given);

/// Points of a front; 0 if it is not said.
std::size_t read_front_points(const std::optional<Given>& given);

Fidelity read_fidelity(const std::optional<Given>& given);

Accelerator read_accelerator_of(const RunRequest& request);

/// The network as it is named; throws if it is not.
const Given& named_network(const RunRequest& request);

/// Batch, parameters and operators to ignore.
NetworkSource read_network_source(const RunRequest& request);

/// "w4a8", or a file; without either 8 bits everywhere.
Assignment read_assignment_of(const std::optional<Given>& given);

}  // namespace widthwise
