// Feeds bytes to the YAML readers. Whatever they are, the only thing that may come out besides a
// value is an InputError. Lines at the end that start with "--set " are overrides.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/base/error.hpp"
#include "models/config/yaml_reader.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/hardware/energy_reader.hpp"
#include "models/network/assignment_reader.hpp"

namespace {

constexpr std::string_view kOverrideMark = "--set ";
constexpr std::size_t kMostOverrides = 8;

std::vector<std::string> split_overrides(std::string_view& text) {
  std::vector<std::string> overrides;
  while (overrides.size() < kMostOverrides) {
    const std::size_t line = text.rfind('\n') + 1;  // npos + 1 = 0
    if (!text.substr(line).starts_with(kOverrideMark)) {
      break;
    }
    overrides.emplace_back(text.substr(line + kOverrideMark.size()));
    text = text.substr(0, line == 0 ? 0 : line - 1);
  }
  return overrides;
}

template <class Read>
void only_input_errors(Read read) {
  try {
    read();
  } catch (const widthwise::InputError& error) {
    widthwise::ensure(!error.diagnostics().empty(), "an error says what is wrong");
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> overrides = split_overrides(text);
  std::string kind;
  only_input_errors(
      [&] { kind = widthwise::schema_kind(widthwise::parse_yaml(text, "fuzz.yaml")); });
  if (kind == "energy") {
    only_input_errors([&] { widthwise::parse_energy_table(text, "fuzz.yaml"); });
  } else if (kind == "assignment") {
    only_input_errors([&] { widthwise::parse_assignment(text, "fuzz.yaml"); });
  } else {
    only_input_errors([&] { widthwise::parse_accelerator(text, "fuzz.yaml", overrides); });
  }
  return 0;
}
