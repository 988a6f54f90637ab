#include "tests/network/onnx_model.hpp"

#include <cstring>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>

#include <onnx/onnx_pb.h>

#include "models/base/error.hpp"

namespace widthwise::test {

namespace {

void set_type(onnx::ValueInfoProto& info, const std::string& name, const Sizes& shape) {
  info.set_name(name);
  auto* tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(onnx::TensorProto::FLOAT);
  auto* sizes = tensor->mutable_shape();
  for (const Size& size : shape) {
    if (const int* number = std::get_if<int>(&size)) {
      sizes->add_dim()->set_dim_value(*number);
    } else {
      sizes->add_dim()->set_dim_param(std::get<std::string>(size));
    }
  }
}

std::size_t elements(const Ints& shape) {
  return static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

}  // namespace

struct OnnxModel::Impl {
  onnx::ModelProto model;

  onnx::GraphProto& graph() { return *model.mutable_graph(); }

  onnx::TensorProto& tensor(const std::string& name, onnx::TensorProto::DataType type,
                            const Ints& shape) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::int64_t size : shape) tensor.add_dims(size);
    return tensor;
  }
};

OnnxModel::OnnxModel() : impl_(std::make_unique<Impl>()) {
  impl_->model.set_ir_version(7);
  impl_->model.add_opset_import()->set_version(13);
  impl_->graph().set_name("net");
}

OnnxModel::~OnnxModel() = default;

OnnxModel& OnnxModel::input(const std::string& name, const Sizes& shape) {
  set_type(*impl_->graph().add_input(), name, shape);
  return *this;
}

OnnxModel& OnnxModel::output(const std::string& name) {
  impl_->graph().add_output()->set_name(name);
  return *this;
}

OnnxModel& OnnxModel::output(const std::string& name, const Sizes& shape) {
  set_type(*impl_->graph().add_output(), name, shape);
  return *this;
}

OnnxModel& OnnxModel::stated(const std::string& name, const Sizes& shape) {
  set_type(*impl_->graph().add_value_info(), name, shape);
  return *this;
}

OnnxModel& OnnxModel::weight(const std::string& name, const Ints& shape) {
  return short_weight(name, shape, elements(shape) * sizeof(float));
}

OnnxModel& OnnxModel::values(const std::string& name, const Ints& shape,
                             const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return raw(name, onnx::TensorProto::FLOAT, shape, bytes);
}

OnnxModel& OnnxModel::field_values(const std::string& name, const Ints& shape,
                                   const std::vector<float>& values) {
  onnx::TensorProto& tensor = impl_->tensor(name, onnx::TensorProto::FLOAT, shape);
  for (const float value : values) tensor.add_float_data(value);
  return *this;
}

OnnxModel& OnnxModel::raw(const std::string& name, int type, const Ints& shape,
                          const std::string& bytes) {
  impl_->tensor(name, static_cast<onnx::TensorProto::DataType>(type), shape).set_raw_data(bytes);
  return *this;
}

OnnxModel& OnnxModel::short_weight(const std::string& name, const Ints& shape, std::size_t bytes) {
  impl_->tensor(name, onnx::TensorProto::FLOAT, shape).set_raw_data(std::string(bytes, '\0'));
  return *this;
}

OnnxModel& OnnxModel::external_weight(const std::string& name, const Ints& shape,
                                      const std::string& file) {
  onnx::TensorProto& tensor = impl_->tensor(name, onnx::TensorProto::FLOAT, shape);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  auto* entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value(file);
  return *this;
}

OnnxModel& OnnxModel::integers(const std::string& name, const Ints& values) {
  onnx::TensorProto& tensor =
      impl_->tensor(name, onnx::TensorProto::INT64, {static_cast<std::int64_t>(values.size())});
  for (const std::int64_t value : values) tensor.add_int64_data(value);
  return *this;
}

OnnxModel& OnnxModel::integer(const std::string& name, std::int64_t value) {
  impl_->tensor(name, onnx::TensorProto::INT64, {}).add_int64_data(value);
  return *this;
}

OnnxModel& OnnxModel::reals(const std::string& name, const std::vector<float>& values) {
  onnx::TensorProto& tensor =
      impl_->tensor(name, onnx::TensorProto::FLOAT, {static_cast<std::int64_t>(values.size())});
  for (const float value : values) tensor.add_float_data(value);
  return *this;
}

OnnxModel& OnnxModel::scalar(const std::string& name, float value) {
  impl_->tensor(name, onnx::TensorProto::FLOAT, {}).add_float_data(value);
  return *this;
}

OnnxModel& OnnxModel::node(const std::string& op, const Names& inputs, const Names& outputs,
                           const Attributes& attributes, const std::string& name) {
  const int index = impl_->graph().node_size();
  onnx::NodeProto& node = *impl_->graph().add_node();
  node.set_op_type(op);
  node.set_name(name.empty() ? op + "_" + std::to_string(index) : name);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const auto& [key, value] : attributes) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(key);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(static_cast<float>(*real));
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      attribute.set_type(onnx::AttributeProto::STRING);
      attribute.set_s(*text);
    } else if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
      attribute.set_type(onnx::AttributeProto::TENSOR);
      attribute.mutable_t()->set_data_type(onnx::TensorProto::FLOAT);
      attribute.mutable_t()->add_dims(static_cast<std::int64_t>(reals->size()));
      for (const float item : *reals) attribute.mutable_t()->add_float_data(item);
    } else {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (const std::int64_t item : std::get<Ints>(value)) attribute.add_ints(item);
    }
  }
  return *this;
}

std::string OnnxModel::bytes() const { return impl_->model.SerializeAsString(); }

OnnxWeights OnnxModel::weights() const {
  const std::string text = bytes();
  return OnnxWeights(std::as_bytes(std::span(text)), "model.onnx");
}

Network OnnxModel::import(const OnnxOptions& options) const {
  const std::string text = bytes();
  return import_onnx_bytes(std::as_bytes(std::span(text)), "model.onnx", options);
}

std::string OnnxModel::message(const OnnxOptions& options) const {
  try {
    (void)import(options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string onnx_message(const std::string& bytes) {
  try {
    import_onnx_bytes(std::as_bytes(std::span(bytes)), "model.onnx");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

const Layer& layer_of(const Network& network, const std::string& name) {
  const auto id = network.find_layer(name);
  if (!id) throw std::runtime_error("no layer " + name);
  return network.layers()[*id];
}

const std::vector<std::int64_t>& output_shape(const Network& network, const std::string& name) {
  return network.tensors()[layer_of(network, name).output].shape;
}

}  // namespace widthwise::test
