#include "models/network/onnx_graph.hpp"

#if WIDTHWISE_WITH_ONNX

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>

namespace widthwise {

namespace {

constexpr std::uintmax_t kMaxFileBytes = std::numeric_limits<std::int32_t>::max();

using onnx::TensorProto;

/// Bytes of an element, 0 for types whose constants we cannot measure.
std::int64_t element_bytes(int type) {
  switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::INT32:
    case TensorProto::UINT32:
    case TensorProto::FLOAT:
      return 4;
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX64:
      return 8;
    case TensorProto::COMPLEX128:
      return 16;
    default:
      return 0;
  }
}

bool is_integral(int type) {
  switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::INT32:
    case TensorProto::UINT32:
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return true;
    default:
      return false;
  }
}

/// Elements of a constant, which may be none; nothing beyond the bound or with a negative size.
std::optional<std::int64_t> constant_elements(const Shape& shape) {
  Shape positive;
  bool is_empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) is_empty = true;
    if (size > 0) positive.push_back(size);
  }
  try {
    const std::int64_t elements = element_count(positive);
    return is_empty ? 0 : elements;
  } catch (const ShapeError&) {
    return std::nullopt;
  }
}

template <class T, class Out>
std::vector<Out> decode(const std::string& raw) {
  static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");
  std::vector<Out> values;
  for (std::size_t at = 0; at + sizeof(T) <= raw.size(); at += sizeof(T)) {
    T value{};
    std::memcpy(&value, raw.data() + at, sizeof(T));
    values.push_back(static_cast<Out>(value));
  }
  return values;
}

template <class Out, class Field>
std::vector<Out> copy_field(const Field& field) {
  std::vector<Out> values;
  for (const auto value : field) values.push_back(static_cast<Out>(value));
  return values;
}

// The values of a constant with few elements; nothing for types that no shape arithmetic uses.
void keep_values(const TensorProto& tensor, const std::string& raw, OnnxConstant& constant) {
  using Integer = std::int64_t;
  const bool is_raw = !raw.empty();
  switch (tensor.data_type()) {
    case TensorProto::INT64:
      constant.values =
          is_raw ? decode<std::int64_t, Integer>(raw) : copy_field<Integer>(tensor.int64_data());
      return;
    case TensorProto::INT32:
      constant.values =
          is_raw ? decode<std::int32_t, Integer>(raw) : copy_field<Integer>(tensor.int32_data());
      return;
    case TensorProto::BOOL:
    case TensorProto::UINT8:
      constant.values =
          is_raw ? decode<std::uint8_t, Integer>(raw) : copy_field<Integer>(tensor.int32_data());
      return;
    case TensorProto::INT8:
      constant.values =
          is_raw ? decode<std::int8_t, Integer>(raw) : copy_field<Integer>(tensor.int32_data());
      return;
    case TensorProto::FLOAT:
      constant.values =
          is_raw ? decode<float, double>(raw) : copy_field<double>(tensor.float_data());
      return;
    case TensorProto::DOUBLE:
      constant.values =
          is_raw ? decode<double, double>(raw) : copy_field<double>(tensor.double_data());
      return;
    default:
      return;
  }
}

std::int64_t typed_elements(const TensorProto& tensor) {
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
      return tensor.float_data_size();
    case TensorProto::COMPLEX64:
      return tensor.float_data_size() / 2;
    case TensorProto::DOUBLE:
      return tensor.double_data_size();
    case TensorProto::COMPLEX128:
      return tensor.double_data_size() / 2;
    case TensorProto::INT64:
      return tensor.int64_data_size();
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return tensor.uint64_data_size();
    default:
      return tensor.int32_data_size();
  }
}

class GraphReader {
 public:
  GraphReader(std::string file, std::optional<std::filesystem::path> directory)
      : file_(std::move(file)), directory_(std::move(directory)) {}

  OnnxGraph read(const onnx::ModelProto& model);

 private:
  void problem(const std::string& key, const std::string& message) {
    problems_.error({file_}, key, message);
  }
  OnnxConstant read_constant(const TensorProto& tensor, const std::string& what);
  std::string read_external(const TensorProto& tensor, std::int64_t bytes, bool is_wanted,
                            const std::string& what);
  OnnxValueInfo read_value_info(const onnx::ValueInfoProto& info) const;
  OnnxNode read_node(const onnx::NodeProto& proto, std::size_t index);
  OnnxAttribute read_attribute(const onnx::AttributeProto& proto, const std::string& what);

  std::string file_;
  std::optional<std::filesystem::path> directory_;  // none: external data are an error
  Diagnostics problems_;
};

// Checks that external data are there and long enough; returns them if they are wanted.
std::string GraphReader::read_external(const TensorProto& tensor, std::int64_t bytes,
                                       bool is_wanted, const std::string& what) {
  std::string location;
  std::int64_t offset = 0;
  std::int64_t length = bytes;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = std::strtoll(entry.value().c_str(), nullptr, 10);
    if (entry.key() == "length") length = std::strtoll(entry.value().c_str(), nullptr, 10);
  }
  if (!directory_) {
    problem(what, "its data are in another file, '" + location + "', which cannot be read here");
    return "";
  }
  const std::filesystem::path relative(location);
  bool is_inside = !location.empty() && relative.is_relative();
  for (const auto& part : relative) is_inside = is_inside && part != "..";
  if (!is_inside) {
    problem(what, "expected its data in a file beside the model, got '" + location + "'");
    return "";
  }
  const std::filesystem::path path = *directory_ / relative;
  std::error_code status;
  const std::uintmax_t size = std::filesystem::file_size(path, status);
  if (status) {
    problem(what, "its data are missing: cannot read '" + path.string() + "'");
    return "";
  }
  if (length != bytes || offset < 0 || static_cast<std::uintmax_t>(offset) > size ||
      static_cast<std::uintmax_t>(bytes) > size - static_cast<std::uintmax_t>(offset)) {
    problem(what, "needs " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
                      " of '" + path.string() + "', which has " + std::to_string(size));
    return "";
  }
  if (!is_wanted) return "";
  std::string raw(static_cast<std::size_t>(bytes), '\0');
  std::ifstream stream(path, std::ios::binary);
  stream.seekg(offset);
  if (!stream.read(raw.data(), bytes)) {
    problem(what, "its data are missing: cannot read '" + path.string() + "'");
  }
  return raw;
}

OnnxConstant GraphReader::read_constant(const TensorProto& tensor, const std::string& what) {
  OnnxConstant constant;
  constant.shape.assign(tensor.dims().begin(), tensor.dims().end());
  constant.is_integral = is_integral(tensor.data_type());
  const auto elements = constant_elements(constant.shape);
  if (!elements) {
    problem(what, "impossible shape " + to_string(constant.shape));
    constant.shape.clear();
    return constant;
  }
  const std::int64_t bytes_each = element_bytes(tensor.data_type());
  if (bytes_each == 0) {  // text and what else has no fixed size: never a weight or a shape
    return constant;
  }
  const std::int64_t bytes = *elements * bytes_each;
  const bool is_wanted = *elements <= kMaxKeptValues;
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    const std::string raw = read_external(tensor, bytes, is_wanted, what);
    if (is_wanted && static_cast<std::int64_t>(raw.size()) == bytes) {
      keep_values(tensor, raw, constant);
    }
    return constant;
  }
  const bool is_raw = tensor.has_raw_data() && !tensor.raw_data().empty();
  const std::int64_t found = is_raw ? static_cast<std::int64_t>(tensor.raw_data().size())
                                    : typed_elements(tensor) * bytes_each;
  if (found != bytes) {
    problem(what, "the shape " + to_string(constant.shape) + " asks for " + std::to_string(bytes) +
                      " bytes of data, the file has " + std::to_string(found));
    return constant;
  }
  if (is_wanted) keep_values(tensor, tensor.raw_data(), constant);
  return constant;
}

OnnxValueInfo GraphReader::read_value_info(const onnx::ValueInfoProto& info) const {
  OnnxValueInfo result;
  result.name = info.name();
  if (!info.has_type()) return result;
  result.is_tensor = info.type().has_tensor_type();
  if (!result.is_tensor || !info.type().tensor_type().has_shape()) return result;
  result.shape.emplace();
  for (const auto& size : info.type().tensor_type().shape().dim()) {
    if (size.has_dim_value()) {
      result.shape->emplace_back(std::int64_t{size.dim_value()});
    } else {
      result.shape->emplace_back(size.dim_param());
    }
  }
  return result;
}

OnnxAttribute GraphReader::read_attribute(const onnx::AttributeProto& proto,
                                          const std::string& what) {
  using Type = onnx::AttributeProto;
  switch (proto.type()) {
    case Type::INT:
      return {std::int64_t{proto.i()}};
    case Type::FLOAT:
      return {static_cast<double>(proto.f())};
    case Type::STRING:
      return {proto.s()};
    case Type::INTS:
      return {copy_field<std::int64_t>(proto.ints())};
    case Type::FLOATS:
      return {copy_field<double>(proto.floats())};
    case Type::TENSOR:
      return {read_constant(proto.t(), what + ": " + proto.name())};
    default:
      return {};
  }
}

OnnxNode GraphReader::read_node(const onnx::NodeProto& proto, std::size_t index) {
  OnnxNode node;
  node.name = proto.name().empty() ? proto.op_type() + "_" + std::to_string(index) : proto.name();
  const bool is_own = proto.domain().empty() || proto.domain() == "ai.onnx";
  node.op = is_own ? proto.op_type() : proto.domain() + "::" + proto.op_type();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  for (const auto& attribute : proto.attribute()) {
    node.has_subgraph = node.has_subgraph || attribute.has_g() || attribute.graphs_size() > 0;
    node.attributes[attribute.name()] =
        read_attribute(attribute, "node '" + node.name + "' (" + node.op + ")");
  }
  return node;
}

OnnxGraph GraphReader::read(const onnx::ModelProto& model) {
  if (!model.has_graph()) {
    throw InputError({file_}, "", "not an ONNX model: it has no graph");
  }
  const onnx::GraphProto& proto = model.graph();
  OnnxGraph graph;
  graph.name = proto.name();
  if (proto.node_size() == 0) problem("", "the graph has no nodes");
  for (const TensorProto& tensor : proto.initializer()) {
    auto constant = std::make_shared<const OnnxConstant>(
        read_constant(tensor, "initializer '" + tensor.name() + "'"));
    if (!graph.constants.emplace(tensor.name(), std::move(constant)).second) {
      problem("initializer '" + tensor.name() + "'", "there are two of this name");
    }
  }
  for (const auto& sparse : proto.sparse_initializer()) {
    problem("initializer '" + sparse.values().name() + "'", "sparse data are not modelled");
  }
  for (const auto& info : proto.input()) {
    if (!graph.constants.contains(info.name())) graph.inputs.push_back(read_value_info(info));
  }
  for (const auto& info : proto.output()) graph.outputs.push_back(read_value_info(info));
  for (const auto& info : proto.value_info()) graph.stated[info.name()] = read_value_info(info);
  for (const auto& node : proto.node()) graph.nodes.push_back(read_node(node, graph.nodes.size()));
  problems_.throw_if_any();
  return graph;
}

[[noreturn]] void refuse_unreadable(const std::string& file) {
  throw InputError({file}, "", "not an ONNX file, or cut short");
}

}  // namespace

OnnxGraph read_onnx_graph(const std::string& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) {
    throw InputError({path}, "", "is a directory, expected an ONNX file");
  }
  const std::uintmax_t size = std::filesystem::file_size(path, status);
  std::ifstream stream(path, std::ios::binary);
  if (status || !stream) throw InputError({path}, "", "cannot be read");
  if (size == 0) throw InputError({path}, "", "the file is empty");
  if (size > kMaxFileBytes) {
    throw InputError({path}, "",
                     "the file has more than 2 GiB, which ONNX files cannot have; export it with "
                     "external data");
  }
  onnx::ModelProto model;
  google::protobuf::io::IstreamInputStream input(&stream);
  if (!model.ParsePartialFromZeroCopyStream(&input)) refuse_unreadable(path);
  return GraphReader(path, std::filesystem::path(path).parent_path()).read(model);
}

OnnxGraph parse_onnx_graph(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.empty()) throw InputError({file}, "", "the file is empty");
  onnx::ModelProto model;
  if (bytes.size() > kMaxFileBytes ||
      !model.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    refuse_unreadable(file);
  }
  return GraphReader(file, std::nullopt).read(model);
}

}  // namespace widthwise

#else  // WIDTHWISE_WITH_ONNX

namespace widthwise {

OnnxGraph read_onnx_graph(const std::string& path) {
  throw InputError({path}, "", "this build of Widthwise does not read ONNX files");
}

OnnxGraph parse_onnx_graph(std::span<const std::byte> /*bytes*/, const std::string& file) {
  return read_onnx_graph(file);
}

}  // namespace widthwise

#endif  // WIDTHWISE_WITH_ONNX
