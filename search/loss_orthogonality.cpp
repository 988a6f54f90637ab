#include <cmath>
#include <map>
#include <ranges>

#include "models/base/text.hpp"
#include "models/base/units.hpp"
#include "search/loss_rules.hpp"

namespace widthwise::search {

namespace {

constexpr std::string_view kSumColumn = "orm_sum";

/// Sums of the rows, without the diagonal.
std::map<LayerId, double> sums_of_matrix(FileLayers& read) {
  constexpr double kTolerance = 1e-4;  // of figures that were rounded
  const LayerCsv& csv = read.csv;
  const std::size_t names = *csv.column(kLayerColumn);
  std::map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const CsvField& name = csv.rows[i][names];
    const auto [first, is_new] = row_of.emplace(name.text, i);
    if (is_new) continue;
    read.problems.error(name.place, std::string(kLayerColumn),
                        again(csv.rows[first->second][names].place));
  }
  for (const CsvField& column : csv.header) {
    if (column.text == kLayerColumn || row_of.contains(column.text)) continue;
    std::vector<std::string> known;
    for (const auto& [name, row] : row_of) known.push_back(name);
    known.emplace_back(kSumColumn);
    read.problems.error(column.place, column.text,
                        "expected 'orm_sum' or the name of a row as the name of a column" +
                            suggestion(column.text, known));
  }
  for (const auto& [name, row] : row_of) {
    if (csv.column(name)) continue;
    read.problems.error(csv.rows[row][names].place, name,
                        "expected a column of this layer too, the matrix being square");
  }
  read.problems.throw_if_any();

  std::vector<std::vector<double>> matrix(csv.rows.size(), std::vector<double>(csv.rows.size(), 0));
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    for (std::size_t c = 0; c < csv.header.size(); ++c) {
      if (c == names) continue;
      const std::size_t j = row_of.at(csv.header[c].text);
      const CsvField& field = csv.rows[i][c];
      const auto number = parse_number(field.text);
      const bool is_sound = number && (i == j ? std::abs(*number - 1) <= kTolerance
                                              : *number >= 0 && *number <= 1 + kTolerance);
      if (is_sound) {
        matrix[i][j] = *number;
        continue;
      }
      read.problems.error(
          field.place, csv.header[c].text,
          (i == j ? "expected 1 on the diagonal, got " : "expected a number of 0..1, got ") +
              quoted_value(field.text));
    }
  }
  read.problems.throw_if_any();
  std::map<LayerId, double> sums;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    double& sum = sums[read.layer_of_row[i].value()];
    for (std::size_t j = 0; j < csv.rows.size(); ++j) {
      if (i == j) continue;
      sum += matrix[i][j];
      if (j < i || std::abs(matrix[i][j] - matrix[j][i]) <= kTolerance) continue;
      const CsvField& field = csv.rows[j][*csv.column(csv.rows[i][names].text)];
      read.problems.error(field.place, csv.rows[i][names].text,
                          "expected a symmetric matrix with " + format_number(matrix[i][j]) +
                              " as in line " + std::to_string(csv.rows[i][names].place.line) +
                              ", got " + quoted_value(field.text));
    }
  }
  return sums;
}

std::map<LayerId, double> sums_of_column(FileLayers& read) {
  const LayerCsv& csv = read.csv;
  check_columns(csv, {std::string(kLayerColumn), std::string(kSumColumn)}, read.problems);
  std::map<LayerId, double> sums;
  std::map<LayerId, SourcePlace> places;
  for (std::size_t i = 0; i < csv.rows.size(); ++i) {
    const auto sum = number_in(csv.rows[i][*csv.column(kSumColumn)], kSumColumn, read.problems);
    if (!sum || !read.layer_of_row[i]) continue;
    const SourcePlace& place = csv.rows[i][*csv.column(kLayerColumn)].place;
    const auto [first, is_new] = places.emplace(*read.layer_of_row[i], place);
    if (!is_new) {
      read.problems.error(place, std::string(kLayerColumn), again(first->second));
    }
    sums[*read.layer_of_row[i]] = *sum;
  }
  return sums;
}

}  // namespace

CostTable orthogonality_losses(const Network& network, const SensitivityRequest& request) {
  FileLayers read = read_layers(network, request.file, "layer,orm_sum");
  const std::map<LayerId, double> sums =
      read.csv.column(kSumColumn) ? sums_of_column(read) : sums_of_matrix(read);
  read.problems.throw_if_any();

  LossTable table(network, request);
  table.say("beta", request.beta);
  table.say("decay", to_string(request.decay));
  table.say_of_file(request.file, read.csv.provenance);
  table.leave_out(read.csv.leaves_out);
  // From the last layer on: mean over the layers that follow and the layer itself.
  std::map<LayerId, double> importance;
  double later = 0;
  for (const auto& [id, sum] : std::views::reverse(sums)) {
    later += std::exp(-request.beta * sum);
    const double mean = later / static_cast<double>(importance.size() + 1);
    importance[id] = mean;
  }
  const auto left = [&](BitWidth width, const Widths& widths) {
    return request.decay == Decay::linear ? static_cast<double>(widths.back() - width)
                                          : std::pow(4.0, -width);
  };
  for (const auto& [id, figure] : importance) {
    const double of_layer = figure;
    const Widths& second =
        network.layers()[id].weights > 0 ? request.weight_bits : request.activation_bits;
    table.add_pairs(id, request.weight_bits, request.activation_bits,
                    [&](BitWidth weight, BitWidth activation) {
                      return of_layer *
                             (left(weight, second) + left(activation, request.activation_bits));
                    });
  }
  return table.take();
}

}  // namespace widthwise::search
