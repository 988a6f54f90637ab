// An ONNX file as plain data: what the importer works on, without protobuf. Internal to
// models/network.
//
// Of constants only the shape is kept, and the values where they are few: shapes, axes, indices,
// exponents; the data of all of them where they are asked for (OnnxDataUse). Whether the data of a
// constant have the size that its shape asks for is checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

/// Values of longer constants are not kept.
inline constexpr std::int64_t kMaxKeptValues = 4096;

struct OnnxOrigin;  // onnx_values.hpp

struct OnnxConstant {
  using Integers = std::vector<std::int64_t>;  // booleans too
  using Reals = std::vector<double>;

  Shape shape;  // sizes may be 0
  bool is_integral = false;
  std::variant<std::monostate, Integers, Reals> values;  // none: not known

  /// Where the values can be had from; none: from nowhere, or the file's data are not kept.
  std::shared_ptr<const OnnxOrigin> origin = nullptr;

  [[nodiscard]] const Integers* integers() const { return std::get_if<Integers>(&values); }
  [[nodiscard]] const Reals* reals() const { return std::get_if<Reals>(&values); }
};

struct OnnxAttribute {
  std::variant<std::monostate, std::int64_t, double, std::string, std::vector<std::int64_t>,
               std::vector<double>, OnnxConstant>
      value;  // none: a subgraph or another kind that is not read
};

struct OnnxNode {
  std::string name;  // never empty: "Conv_3" for the fourth node if it has none
  std::string op;    // "Conv"; "com.microsoft::Gelu" in a domain that is not ONNX's own
  std::vector<std::string> inputs;  // "" where an optional one is left out
  std::vector<std::string> outputs;
  std::map<std::string, OnnxAttribute> attributes;
  bool has_subgraph = false;
};

/// A size that a file states: a number, or the name of an open dimension ("" if it has none).
using OnnxSize = std::variant<std::int64_t, std::string>;

struct OnnxValueInfo {
  std::string name;
  bool is_tensor = true;
  std::optional<std::vector<OnnxSize>> shape;  // none: the rank is open
};

/// The data that a file stores for its constants.
class OnnxTensors {
 public:
  virtual ~OnnxTensors() = default;

  /// The values in row-major order, integers converted. Throws InputError where data beside the
  /// file cannot be read any more.
  [[nodiscard]] virtual std::vector<float> values(std::size_t tensor) const = 0;

  /// The least and greatest value of an integral type.
  [[nodiscard]] virtual std::pair<double, double> range(std::size_t tensor) const = 0;
};

struct OnnxGraph {
  std::string name;
  std::vector<OnnxNode> nodes;
  std::vector<OnnxValueInfo> inputs;  // without those that are constants
  std::vector<OnnxValueInfo> outputs;
  std::unordered_map<std::string, OnnxValueInfo> stated;  // inner values, by name
  std::unordered_map<std::string, std::shared_ptr<const OnnxConstant>> constants;
  std::shared_ptr<const OnnxTensors> tensors;  // none: the data are not kept
};

/// Kept data take as much memory as the file.
enum class OnnxDataUse { dropped, kept };

/// Reads a file; its external data are looked for beside it. Throws InputError.
OnnxGraph read_onnx_graph(const std::string& path, OnnxDataUse use = OnnxDataUse::dropped);

/// The same from memory, where external data are an error.
OnnxGraph parse_onnx_graph(std::span<const std::byte> bytes, const std::string& file,
                           OnnxDataUse use = OnnxDataUse::dropped);

}  // namespace widthwise
