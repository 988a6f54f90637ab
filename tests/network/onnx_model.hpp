// Small ONNX files for tests, made in memory.
//
//   OnnxModel model;
//   model.input("x", {1, 3, 8, 8}).weight("w", {4, 3, 3, 3});
//   model.node("Conv", {"x", "w"}, {"y"}, {{"strides", Ints{2, 2}}}).output("y");
//   Network network = model.import();
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "models/network/network.hpp"
#include "models/network/onnx_import.hpp"
#include "models/network/onnx_weights.hpp"

namespace widthwise::test {

using Ints = std::vector<std::int64_t>;
using Names = std::vector<std::string>;
using Attribute = std::variant<std::int64_t, double, std::string, Ints, std::vector<float>>;
using Attributes = std::map<std::string, Attribute>;

/// A size is a number, or the name of an open dimension.
using Size = std::variant<int, std::string>;
using Sizes = std::vector<Size>;

class OnnxModel {
 public:
  OnnxModel();
  ~OnnxModel();

  OnnxModel& input(const std::string& name, const Sizes& shape);
  OnnxModel& output(const std::string& name);
  OnnxModel& output(const std::string& name, const Sizes& shape);
  OnnxModel& stated(const std::string& name, const Sizes& shape);

  OnnxModel& weight(const std::string& name, const Ints& shape);  // zeros
  OnnxModel& integers(const std::string& name, const Ints& values);
  OnnxModel& integer(const std::string& name, std::int64_t value);
  OnnxModel& reals(const std::string& name, const std::vector<float>& values);
  OnnxModel& scalar(const std::string& name, float value = 1);

  /// With these values, in row-major order: as raw data, or in the field of the type.
  OnnxModel& values(const std::string& name, const Ints& shape, const std::vector<float>& values);
  OnnxModel& field_values(const std::string& name, const Ints& shape,
                          const std::vector<float>& values);

  /// Raw bytes of elements of a type of onnx::TensorProto, such as FLOAT16.
  OnnxModel& raw(const std::string& name, int type, const Ints& shape, const std::string& bytes);

  /// A weight whose data have another size than its shape asks for.
  OnnxModel& short_weight(const std::string& name, const Ints& shape, std::size_t bytes);

  /// A weight whose data are in a file.
  OnnxModel& external_weight(const std::string& name, const Ints& shape, const std::string& file);

  /// The node is called `op` followed by its number, "Conv_0", unless a name is given.
  OnnxModel& node(const std::string& op, const Names& inputs, const Names& outputs,
                  const Attributes& attributes = {}, const std::string& name = "");

  [[nodiscard]] std::string bytes() const;

  /// The weights that it holds, under the name "model.onnx".
  [[nodiscard]] OnnxWeights weights() const;

  /// Imports it under the name "model.onnx".
  [[nodiscard]] Network import(const OnnxOptions& options = {}) const;

  /// What the import throws, "" if nothing.
  [[nodiscard]] std::string message(const OnnxOptions& options = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The same for bytes.
std::string onnx_message(const std::string& bytes);

/// The layer of that name.
const Layer& layer_of(const Network& network, const std::string& name);

/// The shape of the layer's output.
const std::vector<std::int64_t>& output_shape(const Network& network, const std::string& name);

}  // namespace widthwise::test
