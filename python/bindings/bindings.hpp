// The parts that the module widthwise._core is put together from.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace widthwise::python {

/// Machines, networks, and where the files that come with the program lie.
void bind_inputs(pybind11::module_& module);

/// Cost tables and what is computed from them.
void bind_tables(pybind11::module_& module);

using Reals = pybind11::array_t<double, pybind11::array::c_style | pybind11::array::forcecast>;

template <class T>
pybind11::array_t<T> to_array(const std::vector<T>& values) {
  return pybind11::array_t<T>(static_cast<pybind11::ssize_t>(values.size()), values.data());
}

inline std::span<const double> to_span(const Reals& values) {
  return {values.data(), static_cast<std::size_t>(values.size())};
}

}  // namespace widthwise::python
