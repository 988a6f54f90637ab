#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/config/shipped_data.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/hardware/accelerator_reader.hpp"
#include "models/network/load_network.hpp"
#include "models/network/network.hpp"
#include "python/bindings/bindings.hpp"

namespace py = pybind11;

namespace widthwise::python {

namespace {

/// What Python's Layer objects are made of.
py::tuple layer_fields(const Layer& layer) {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  if (layer.compute) {
    in_channels = layer.compute->groups * layer.compute->in_channels;
    out_channels = layer.compute->groups * layer.compute->out_channels;
  }
  return py::make_tuple(layer.name, std::string(to_string(layer.kind)), layer.macs(), layer.weights,
                        in_channels, out_channels, has_macs(layer.kind));
}

}  // namespace

void bind_inputs(py::module_& module) {
  module.def("use_data_folder", &use_data_folder, py::arg("folder"));

  py::class_<Accelerator>(module, "Accelerator")
      .def(py::init([](const std::string& name, const std::vector<std::string>& overrides) {
             const Given given{name, SourcePlace{"accelerator"}, ""};
             return read_accelerator(find_file(Shipped::accelerators, given), overrides);
           }),
           py::arg("name_or_path"), py::arg("overrides"))
      .def_readonly("name", &Accelerator::name)
      .def_readonly("path", &Accelerator::source)
      .def_property_readonly("clock_hz", [](const Accelerator& self) { return self.clock.count(); })
      .def_property_readonly("resolved",
                             [](const Accelerator& self) { return resolved_keys(self); });

  py::class_<Network>(module, "Network")
      .def(py::init([](const std::string& name, std::optional<std::int64_t> batch,
                       NetworkParameters parameters, std::vector<std::string> ignore) {
             const Given given{name, SourcePlace{"network"}, ""};
             return load_network(given, {batch, std::move(parameters), std::move(ignore)});
           }),
           py::arg("name_or_path"), py::arg("batch"), py::arg("parameters"), py::arg("ignore"))
      .def_property_readonly("name", &Network::name)
      .def_property_readonly("ignored", &Network::ignored)
      .def_property_readonly("macs", &Network::macs)
      .def_property_readonly("weights", &Network::weights)
      .def_property_readonly("layers", [](const Network& self) {
        std::vector<py::tuple> layers;
        for (const Layer& layer : self.layers()) {
          layers.push_back(layer_fields(layer));
        }
        return layers;
      });
}

}  // namespace widthwise::python
