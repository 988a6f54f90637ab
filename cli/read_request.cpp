#include "cli/read_request.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "models/base/worker_pool.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/network/assignment_reader.hpp"

namespace widthwise {

namespace {

/// "sequence_length=256", later ones win.
NetworkParameters read_parameters(const RunRequest& request) {
  NetworkParameters parameters;
  Diagnostics problems;
  for (const Given& given : request.parameters) {
    const std::size_t equals = given.text.find('=');
    const auto value = equals == std::string::npos
                           ? std::nullopt
                           : parse_integer(std::string_view(given.text).substr(equals + 1));
    if (!value || equals == 0) {
      problems.error(
          given.place, given.key,
          "expected a name and an integer such as 'sequence_length=256', got '" + given.text + "'");
    } else {
      parameters[given.text.substr(0, equals)] = *value;
    }
  }
  problems.throw_if_any();
  return parameters;
}

}  // namespace

void refuse(const Given& given, const std::string& message) {
  throw InputError(given.place, given.key, message);
}

std::size_t read_name(const Given& given, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), given.text);
  if (found == names.end()) {
    refuse(given, "expected one of " + quoted_list(names) + ", got '" + given.text + "'" +
                      suggestion(given.text, names));
  }
  return static_cast<std::size_t>(found - names.begin());
}

std::int64_t read_integer_in(const Given& given, std::int64_t least, std::int64_t greatest) {
  const auto value = parse_integer(given.text);
  if (!value || *value < least || *value > greatest) {
    refuse(given, fmt::format("expected {}..{}, got '{}'", least, greatest, given.text));
  }
  return *value;
}

std::size_t read_jobs(const std::optional<Given>& given) {
  constexpr std::int64_t kMost = 1024;
  return given ? static_cast<std::size_t>(read_integer_in(*given, 1, kMost))
               : available_processors();
}

std::size_t read_front_points(const std::optional<Given>& given) {
  constexpr std::int64_t kMost = 1000;
  return given ? static_cast<std::size_t>(read_integer_in(*given, 2, kMost)) : 0;
}

Fidelity read_fidelity(const std::optional<Given>& given) {
  if (!given) {
    return Fidelity::tile;
  }
  constexpr Fidelity kFidelities[] = {Fidelity::analytic, Fidelity::tile, Fidelity::cycle};
  std::vector<std::string> names;
  for (const Fidelity fidelity : kFidelities) {
    names.emplace_back(to_string(fidelity));
  }
  return kFidelities[read_name(*given, names)];
}

Accelerator read_accelerator_of(const RunRequest& request) {
  if (!request.accelerator) {
    throw InputError({"--accelerator"}, "", "is missing; it names a file or a shipped accelerator");
  }
  Accelerator accelerator =
      read_accelerator(find_file(Shipped::accelerators, *request.accelerator), request.overrides);
  if (request.ideal_memory.value_or(false)) {
    accelerator.ideal_memory = true;
    accelerator.leaves_out.emplace_back("limits of DRAM and of buffer ports (ideal memory)");
  }
  return accelerator;
}

const Given& named_network(const RunRequest& request) {
  if (!request.network) {
    throw InputError({"--network"}, "",
                     "is missing; it names a file, a shipped network or a product such as "
                     "'gemm:64x128x512'");
  }
  return *request.network;
}

NetworkSource read_network_source(const RunRequest& request) {
  NetworkSource source;
  if (request.batch) {
    source.batch = read_integer_in(*request.batch, 1, kMostBatch);
  }
  source.parameters = read_parameters(request);
  source.ignore = request.ignore;
  return source;
}

Assignment read_assignment_of(const std::optional<Given>& given) {
  if (!given) {
    return parse_uniform_assignment("w8a8");
  }
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool looks_uniform = matches_pattern(given->text, "w*a*") &&
                             std::count_if(given->text.begin(), given->text.end(), is_digit) + 2 ==
                                 static_cast<std::ptrdiff_t>(given->text.size());
  if (looks_uniform) {
    return placed_at(*given, [&] { return parse_uniform_assignment(given->text); });
  }
  return read_assignment(find_file(Shipped::assignments, *given, "no widths such as 'w4a4'"));
}

}  // namespace widthwise
