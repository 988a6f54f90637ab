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

#include "models/network/onnx_values.hpp"

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
  values.reserve(raw.size() / sizeof(T));
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

float from_half(std::uint16_t bits) {
  constexpr int kMantissaBits = 10;
  constexpr int kBias = 15;
  constexpr int kSpecial = 31;  // infinities and what is not a number
  const int exponent = (bits >> kMantissaBits) & kSpecial;
  const int mantissa = bits & ((1 << kMantissaBits) - 1);
  float value = 0;
  if (exponent == kSpecial) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - kBias - kMantissaBits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa | (1 << kMantissaBits)),
                       exponent - kBias - kMantissaBits);
  }
  return (bits >> 15) != 0 ? -value : value;
}

float from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <class Convert>
std::vector<float> convert_halves(const TensorProto& tensor, const std::string& raw,
                                  Convert convert) {
  const auto halves = raw.empty() ? copy_field<std::uint16_t>(tensor.int32_data())
                                  : decode<std::uint16_t, std::uint16_t>(raw);
  std::vector<float> values;
  values.reserve(halves.size());
  for (const std::uint16_t bits : halves) values.push_back(convert(bits));
  return values;
}

template <class T, class Field>
std::vector<float> convert(const std::string& raw, const Field& field) {
  return raw.empty() ? copy_field<float>(field) : decode<T, float>(raw);
}

/// The values of a constant of any type with values; nothing for others.
std::optional<std::vector<float>> all_values(const TensorProto& tensor, const std::string& raw) {
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
      return convert<float>(raw, tensor.float_data());
    case TensorProto::DOUBLE:
      return convert<double>(raw, tensor.double_data());
    case TensorProto::FLOAT16:
      return convert_halves(tensor, raw, from_half);
    case TensorProto::BFLOAT16:
      return convert_halves(tensor, raw, from_bfloat);
    case TensorProto::BOOL:
    case TensorProto::UINT8:
      return convert<std::uint8_t>(raw, tensor.int32_data());
    case TensorProto::INT8:
      return convert<std::int8_t>(raw, tensor.int32_data());
    case TensorProto::UINT16:
      return convert<std::uint16_t>(raw, tensor.int32_data());
    case TensorProto::INT16:
      return convert<std::int16_t>(raw, tensor.int32_data());
    case TensorProto::INT32:
      return convert<std::int32_t>(raw, tensor.int32_data());
    case TensorProto::UINT32:
      return convert<std::uint32_t>(raw, tensor.uint64_data());
    case TensorProto::INT64:
      return convert<std::int64_t>(raw, tensor.int64_data());
    case TensorProto::UINT64:
      return convert<std::uint64_t>(raw, tensor.uint64_data());
    default:
      return std::nullopt;
  }
}

/// Data in a file beside the model.
struct ExternalData {
  std::filesystem::path path;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

/// Nothing if the file cannot be read.
std::optional<std::string> read_bytes(const ExternalData& data) {
  std::string raw(static_cast<std::size_t>(data.bytes), '\0');
  std::ifstream stream(data.path, std::ios::binary);
  stream.seekg(data.offset);
  if (!stream.read(raw.data(), data.bytes)) return std::nullopt;
  return raw;
}

/// The tensors of a model that stays in memory, in the order in which they were read.
class KeptTensors final : public OnnxTensors {
 public:
  KeptTensors(std::shared_ptr<const onnx::ModelProto> model, std::string file)
      : model_(std::move(model)), file_(std::move(file)) {}

  std::size_t add(const TensorProto& tensor, std::optional<ExternalData> external) {
    tensors_.push_back({&tensor, std::move(external)});
    return tensors_.size() - 1;
  }

  [[nodiscard]] std::vector<float> values(std::size_t index) const override {
    const auto& [tensor, external] = tensors_.at(index);
    std::optional<std::vector<float>> values;
    if (external) {
      const auto raw = read_bytes(*external);
      if (!raw) throw InputError({file_}, "", "cannot read '" + external->path.string() + "'");
      values = all_values(*tensor, *raw);
    } else {
      values = all_values(*tensor, tensor->raw_data());
    }
    ensure(values.has_value(), "only constants of known types are kept");
    return *std::move(values);
  }

  [[nodiscard]] std::pair<double, double> range(std::size_t index) const override {
    switch (tensors_.at(index).tensor->data_type()) {
      case TensorProto::INT8:
        return {-128, 127};
      case TensorProto::INT16:
        return {-32768, 32767};
      case TensorProto::UINT16:
        return {0, 65535};
      case TensorProto::INT32:
        return {-2147483648.0, 2147483647.0};
      default:
        return {0, 255};
    }
  }

 private:
  struct Kept {
    const TensorProto* tensor = nullptr;  // in the model
    std::optional<ExternalData> external;
  };

  std::shared_ptr<const onnx::ModelProto> model_;
  std::string file_;
  std::vector<Kept> tensors_;
};

bool has_values(int type) {
  return element_bytes(type) != 0 && type != TensorProto::COMPLEX64 &&
         type != TensorProto::COMPLEX128;
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

  OnnxGraph read(const std::shared_ptr<const onnx::ModelProto>& model, OnnxDataUse use);

 private:
  void problem(const std::string& key, const std::string& message) {
    problems_.error({file_}, key, message);
  }
  OnnxConstant read_constant(const TensorProto& tensor, const std::string& what);
  std::optional<ExternalData> find_external(const TensorProto& tensor, std::int64_t bytes,
                                            const std::string& what);
  void keep(const TensorProto& tensor, std::optional<ExternalData> external,
            OnnxConstant& constant);
  OnnxValueInfo read_value_info(const onnx::ValueInfoProto& info) const;
  OnnxNode read_node(const onnx::NodeProto& proto, std::size_t index);
  OnnxAttribute read_attribute(const onnx::AttributeProto& proto, const std::string& what);

  std::string file_;
  std::optional<std::filesystem::path> directory_;  // none: external data are an error
  Diagnostics problems_;
  std::shared_ptr<KeptTensors> tensors_;  // none: data are not kept
};

// Checks that external data are there and long enough.
std::optional<ExternalData> GraphReader::find_external(const TensorProto& tensor,
                                                       std::int64_t bytes,
                                                       const std::string& what) {
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
    return std::nullopt;
  }
  const std::filesystem::path relative(location);
  bool is_inside = !location.empty() && relative.is_relative();
  for (const auto& part : relative) is_inside = is_inside && part != "..";
  if (!is_inside) {
    problem(what, "expected its data in a file beside the model, got '" + location + "'");
    return std::nullopt;
  }
  const std::filesystem::path path = *directory_ / relative;
  std::error_code status;
  const std::uintmax_t size = std::filesystem::file_size(path, status);
  if (status) {
    problem(what, "its data are missing: cannot read '" + path.string() + "'");
    return std::nullopt;
  }
  if (length != bytes || offset < 0 || static_cast<std::uintmax_t>(offset) > size ||
      static_cast<std::uintmax_t>(bytes) > size - static_cast<std::uintmax_t>(offset)) {
    problem(what, "needs " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
                      " of '" + path.string() + "', which has " + std::to_string(size));
    return std::nullopt;
  }
  return ExternalData{path, offset, bytes};
}

void GraphReader::keep(const TensorProto& tensor, std::optional<ExternalData> external,
                       OnnxConstant& constant) {
  if (!tensors_ || !has_values(tensor.data_type())) return;
  const OnnxOrigin::Stored stored{tensors_->add(tensor, std::move(external))};
  constant.origin = std::make_shared<const OnnxOrigin>(OnnxOrigin{stored, 0});
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
    const auto external = find_external(tensor, bytes, what);
    if (!external) return constant;
    keep(tensor, external, constant);
    if (!is_wanted) return constant;
    if (const auto raw = read_bytes(*external)) {
      keep_values(tensor, *raw, constant);
    } else {
      problem(what, "its data are missing: cannot read '" + external->path.string() + "'");
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
  keep(tensor, std::nullopt, constant);
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

OnnxGraph GraphReader::read(const std::shared_ptr<const onnx::ModelProto>& model, OnnxDataUse use) {
  if (!model->has_graph()) {
    throw InputError({file_}, "", "not an ONNX model: it has no graph");
  }
  const onnx::GraphProto& proto = model->graph();
  OnnxGraph graph;
  if (use == OnnxDataUse::kept) tensors_ = std::make_shared<KeptTensors>(model, file_);
  graph.tensors = tensors_;
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

OnnxGraph read_onnx_graph(const std::string& path, OnnxDataUse use) {
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
  const auto model = std::make_shared<onnx::ModelProto>();
  google::protobuf::io::IstreamInputStream input(&stream);
  if (!model->ParsePartialFromZeroCopyStream(&input)) refuse_unreadable(path);
  return GraphReader(path, std::filesystem::path(path).parent_path()).read(model, use);
}

OnnxGraph parse_onnx_graph(std::span<const std::byte> bytes, const std::string& file,
                           OnnxDataUse use) {
  if (bytes.empty()) throw InputError({file}, "", "the file is empty");
  const auto model = std::make_shared<onnx::ModelProto>();
  if (bytes.size() > kMaxFileBytes ||
      !model->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    refuse_unreadable(file);
  }
  return GraphReader(file, std::nullopt).read(model, use);
}

}  // namespace widthwise

#else  // WIDTHWISE_WITH_ONNX

namespace widthwise {

OnnxGraph read_onnx_graph(const std::string& path, OnnxDataUse /*use*/) {
  throw InputError({path}, "", "this build of Widthwise does not read ONNX files");
}

OnnxGraph parse_onnx_graph(std::span<const std::byte> /*bytes*/, const std::string& file,
                           OnnxDataUse use) {
  return read_onnx_graph(file, use);
}

}  // namespace widthwise

#endif  // WIDTHWISE_WITH_ONNX
