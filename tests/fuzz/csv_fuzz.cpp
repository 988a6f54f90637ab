// Arbitrary bytes as a table of costs: a table that is written and read back the same, or an
// InputError comes out, nothing else.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "models/base/error.hpp"
#include "models/table/table_csv.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const widthwise::CostTable table = widthwise::parse_cost_table(text, "fuzz.csv");
    widthwise::ensure(!table.rows.empty() && !table.metrics.empty(), "a table says something");
    const std::string csv = widthwise::cost_table_csv(table);
    std::string again;
    try {
      again = widthwise::cost_table_csv(widthwise::parse_cost_table(csv, "again.csv"));
    } catch (const widthwise::InputError& error) {
      widthwise::ensure(false, error.what());
    }
    widthwise::ensure(again == csv, "a table that was written reads back the same");
  } catch (const widthwise::InputError& error) {
    widthwise::ensure(!error.diagnostics().empty(), "an error says what is wrong");
  }
  return 0;
}
