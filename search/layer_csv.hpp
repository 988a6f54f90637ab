// Small CSV files about the layers of a network that are no tables of widths (those:
// models/table/table_csv.hpp): traces, orthogonality. The same rules: lines of provenance
// `# key: value`, of which `leaves_out` lists layers; a header; rows as long as it. Fields may be
// quoted, within their line. Lines end in LF or CRLF; a byte order mark is passed over.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"

namespace widthwise {

struct CsvField {
  std::string text;
  SourcePlace place;  // columns count characters, from 1
};

struct LayerCsv {
  std::string file;
  std::vector<std::pair<std::string, std::string>> provenance;  // without leaves_out
  std::vector<std::string> leaves_out;
  std::vector<CsvField> header;             // each name once
  std::vector<std::vector<CsvField>> rows;  // each as long as the header

  [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const;
};

/// Adds what is wrong to `problems`, about a hundred mistakes at most; broken rows are left out. A
/// header that is not sound is left out with all rows. `header` is an example for a file without
/// one.
LayerCsv parse_layer_csv(std::string_view text, const std::string& file, std::string_view header,
                         Diagnostics& problems);

/// The number in a field, at least 0; nothing, and a mistake in `problems`, if it is none.
std::optional<double> number_in(const CsvField& field, std::string_view column,
                                Diagnostics& problems);

}  // namespace widthwise
