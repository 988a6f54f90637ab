// The module widthwise._core: the models in the Python process. Simulations are not in it; they run
// in the program (widthwise/_program.py), and so the module needs no SystemC.

#include <exception>

#include "models/base/error.hpp"
#include "python/bindings/bindings.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
  module.doc() = "Widthwise's models, as used by the package widthwise.";

  // The user's mistakes are ValueErrors; our own (InternalError) become RuntimeErrors by
  // themselves.
  auto& error =
      py::register_exception<widthwise::InputError>(module, "InputError", PyExc_ValueError);
  error.attr("__module__") = "widthwise";
  error.attr("__doc__") =
      "What was given is wrong: a line for each mistake, with its place and what would be right.";

  widthwise::python::bind_inputs(module);
  widthwise::python::bind_tables(module);
}
