#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "models/base/error.hpp"
#include "models/config/shipped_data.hpp"
#include "models/cost/cost_model.hpp"
#include "models/cost/layer_point.hpp"
#include "models/cost/plan.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/assignment_reader.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "models/table/channel_cost.hpp"
#include "models/table/cost_table.hpp"
#include "models/table/fractional_cost.hpp"
#include "models/table/layer_grid.hpp"
#include "models/table/table_csv.hpp"
#include "models/table/table_model.hpp"
#include "python/bindings/bindings.hpp"

namespace py = pybind11;

namespace widthwise::python {

namespace {

py::array_t<double> zeros(std::size_t rows, std::size_t columns) {
  py::array_t<double> array({rows, columns});
  std::fill_n(array.mutable_data(), rows * columns, 0.0);
  return array;
}

/// Layer, place and values of every row, as three arrays.
py::tuple rows_of(const CostTable& table) {
  std::vector<std::int64_t> layers;
  py::array_t<double> at = zeros(table.rows.size(), kAxes);
  py::array_t<double> values = zeros(table.rows.size(), table.metrics.size());
  double* next_at = at.mutable_data();
  double* next_value = values.mutable_data();
  for (const TableRow& row : table.rows) {
    layers.push_back(static_cast<std::int64_t>(row.layer));
    next_at = std::copy(row.at.begin(), row.at.end(), next_at);
    next_value = std::copy(row.values.begin(), row.values.end(), next_value);
  }
  return py::make_tuple(to_array(layers), at, values);
}

/// The points of each axis; its values are apart.
py::list grid_axes(const LayerGrid& grid) {
  py::list axes;
  for (const GridAxis& axis : grid.axes) {
    axes.append(py::make_tuple(index_of(axis.axis), axis.points));
  }
  return axes;
}

/// What Python's BoundLayer objects are made of.
py::tuple layer_fields(const NetworkBinding& binding, const BoundLayer& layer) {
  return py::make_tuple(layer.grid, layer.own, layer.weighted,
                        binding.grids.at(layer.grid).equal_widths, layer.inputs, layer.second,
                        layer.output);
}

/// Where tensors stored at so many bits lie: 1 for the scratchpad, 0 for DRAM.
py::array_t<double> homes(const NetworkBinding& binding, const Reals& stored_bits) {
  std::vector<double> homes(binding.tensors.size(), 0.0);
  if (binding.network && binding.scratchpad_bytes > 0) {
    ensure(static_cast<std::size_t>(stored_bits.size()) == binding.network->tensors().size(),
           "a stored width for every tensor");
    const auto placed =
        place_tensors(*binding.network, to_span(stored_bits), binding.scratchpad_bytes);
    std::transform(placed.begin(), placed.end(), homes.begin(),
                   [](Home home) { return home == Home::scratchpad ? 1.0 : 0.0; });
  }
  return to_array(homes);
}

void check_size(std::string_view what, const Reals& values, std::size_t size) {
  if (static_cast<std::size_t>(values.size()) != size) {
    throw InputError(
        {std::string(what)}, "",
        "expected " + std::to_string(size) + " values, got " + std::to_string(values.size()));
  }
}

/// The cost and its two gradients.
template <class Cost>
py::tuple evaluate(const Cost& cost, const Reals& first, const Reals& second) {
  py::array_t<double> first_gradient(first.size());
  py::array_t<double> second_gradient(second.size());
  const double value = cost.evaluate(
      to_span(first), to_span(second),
      {first_gradient.mutable_data(), static_cast<std::size_t>(first_gradient.size())},
      {second_gradient.mutable_data(), static_cast<std::size_t>(second_gradient.size())});
  return py::make_tuple(value, first_gradient, second_gradient);
}

/// A number that the provenance says; 0 if it does not.
double said_number(const CostTable& table, std::string_view key) {
  const auto text = table.said(key);
  return text ? std::strtod(text->c_str(), nullptr) : 0;
}

/// What the table says of the machine, enough to place tensors.
Accelerator machine_of(const CostTable& table) {
  Accelerator accelerator;
  const double bytes = said_number(table, "scratchpad_bytes");
  if (bytes > 0) {
    accelerator.memory.scratchpad.emplace();
    accelerator.memory.scratchpad->capacity = Bytes(std::llround(bytes));
  }
  return accelerator;
}

/// A rule as Python gives it: pattern, weight width, activation width.
using Rule = std::tuple<std::string, std::optional<BitWidth>, std::optional<BitWidth>>;

Assignment read_bits(const std::string& bits, const std::vector<Rule>& rules) {
  const SourcePlace place{"bits"};
  Assignment assignment;
  try {
    assignment = parse_uniform_assignment(bits);
  } catch (const InputError&) {
    const Given given{bits, place, ""};
    assignment = read_assignment(find_file(Shipped::assignments, given, "widths such as 'w4a4'"));
  }
  for (const auto& [pattern, weight, activation] : rules) {
    assignment.rules.push_back({pattern, weight, activation, place});
  }
  return assignment;
}

std::vector<double> cost_of(const CostTable& table, const Network& network, const std::string& bits,
                            const std::vector<Rule>& rules) {
  TableCostModel model(network, table);
  const WidthPlan plan = resolve_widths(network, read_bits(bits, rules));
  return total_cost(model, layer_points(network, plan, machine_of(table)));
}

void bind_table_class(py::module_& module) {
  py::class_<CostTable>(module, "CostTable")
      .def_static(
          "read",
          [](const std::string& name) {
            const Given given{name, SourcePlace{"table"}, ""};
            return read_cost_table(find_file(Shipped::tables, given));
          },
          py::arg("name_or_path"))
      .def_static("parse", &parse_cost_table, py::arg("text"), py::arg("file"))
      .def("csv", &cost_table_csv)
      .def_readonly("provenance", &CostTable::provenance)
      .def_readonly("layers", &CostTable::layers)
      .def_readonly("kinds", &CostTable::kinds)
      .def_readonly("leaves_out", &CostTable::leaves_out)
      .def_readonly("metrics", &CostTable::metrics)
      .def_property_readonly("axes",
                             [](const CostTable& self) {
                               std::vector<std::size_t> axes;
                               for (const Axis axis : self.axes) axes.push_back(index_of(axis));
                               return axes;
                             })
      .def_property_readonly("rows", &rows_of)
      .def("cost", &cost_of, py::arg("network"), py::arg("bits"), py::arg("rules"));

  std::vector<std::string> names;
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    names.emplace_back(to_string(static_cast<Axis>(axis)));
  }
  module.attr("AXES") = py::cast(names);
  module.def("metric_index", &metric_index, py::arg("metrics"), py::arg("name"));
}

void bind_binding(py::module_& module) {
  py::class_<NetworkBinding>(module, "NetworkBinding")
      .def(py::init([](const CostTable& table, const Network* network) {
             return network != nullptr ? bind_table(table, *network) : bind_table(table);
           }),
           py::arg("table"), py::arg("network").none(true))
      .def_readonly("variables", &NetworkBinding::variables)
      .def_readonly("metrics", &NetworkBinding::metrics)
      .def_property_readonly("layers",
                             [](const NetworkBinding& self) {
                               std::vector<py::tuple> layers;
                               for (const auto& layer : self.layers) {
                                 layers.push_back(layer_fields(self, layer));
                               }
                               return layers;
                             })
      .def_property_readonly("grids",
                             [](const NetworkBinding& self) {
                               std::vector<py::list> grids;
                               for (const auto& grid : self.grids) {
                                 grids.push_back(grid_axes(grid));
                               }
                               return grids;
                             })
      .def(
          "values",
          [](const NetworkBinding& self, std::size_t metric) {
            std::vector<py::array_t<double>> values;
            for (const auto& grid : self.grids) {
              values.push_back(to_array(grid.values.at(metric)));
            }
            return values;
          },
          py::arg("metric"))
      .def_property_readonly("tensors",
                             [](const NetworkBinding& self) {
                               std::vector<py::tuple> tensors;
                               for (const StorageRule& rule : self.tensors) {
                                 tensors.push_back(py::make_tuple(rule.floor, rule.readers));
                               }
                               return tensors;
                             })
      .def_readonly("scratchpad_bytes", &NetworkBinding::scratchpad_bytes)
      .def("homes", &homes, py::arg("stored_bits"));
}

void bind_costs(py::module_& module) {
  py::class_<FractionalCost>(module, "FractionalCost")
      .def(py::init<NetworkBinding, std::string_view>(), py::arg("binding"), py::arg("metric"))
      .def_property_readonly("variables", &FractionalCost::variables)
      .def(
          "evaluate",
          [](const FractionalCost& self, const Reals& weight_bits, const Reals& activation_bits) {
            check_size("weight_bits", weight_bits, self.variables().size());
            check_size("activation_bits", activation_bits, self.variables().size());
            return evaluate(self, weight_bits, activation_bits);
          },
          py::arg("weight_bits"), py::arg("activation_bits"));
  py::class_<ChannelCost>(module, "ChannelCost")
      .def(py::init<NetworkBinding, std::string_view>(), py::arg("binding"), py::arg("metric"))
      .def_property_readonly("variables", &ChannelCost::variables)
      .def_property_readonly("offsets", &ChannelCost::offsets)
      .def(
          "evaluate",
          [](const ChannelCost& self, const Reals& channel_bits, const Reals& activation_bits) {
            check_size("channel_bits", channel_bits, self.offsets().back());
            check_size("activation_bits", activation_bits, self.variables().size());
            return evaluate(self, channel_bits, activation_bits);
          },
          py::arg("channel_bits"), py::arg("activation_bits"));
}

}  // namespace

void bind_tables(py::module_& module) {
  bind_table_class(module);
  bind_binding(module);
  bind_costs(module);
}

}  // namespace widthwise::python
