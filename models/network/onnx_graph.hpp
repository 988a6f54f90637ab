// An ONNX file as plain data: what the importer works on, without protobuf. Internal to
// models/network.
//
// Of constants only the shape is kept, and the values where they are few: shapes, axes, indices,
// exponents. Whether the data of a constant have the size that its shape asks for is checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "models/base/error.hpp"
#include "models/network/shape_inference.hpp"

namespace widthwise {

/// Values of longer constants are not kept.
inline constexpr std::int64_t kMaxKeptValues = 4096;

struct OnnxConstant {
  using Integers = std::vector<std::int64_t>;  // booleans too
  using Reals = std::vector<double>;

  Shape shape;  // sizes may be 0
  bool is_integral = false;
  std::variant<std::monostate, Integers, Reals> values;  // none: not known

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

struct OnnxGraph {
  std::string name;
  std::vector<OnnxNode> nodes;
  std::vector<OnnxValueInfo> inputs;  // without those that are constants
  std::vector<OnnxValueInfo> outputs;
  std::unordered_map<std::string, OnnxValueInfo> stated;  // inner values, by name
  std::unordered_map<std::string, std::shared_ptr<const OnnxConstant>> constants;
};

/// Reads a file; its external data are looked for beside it. Throws InputError.
OnnxGraph read_onnx_graph(const std::string& path);

/// The same from memory, where external data are an error.
OnnxGraph parse_onnx_graph(std::span<const std::byte> bytes, const std::string& file);

}  // namespace widthwise
