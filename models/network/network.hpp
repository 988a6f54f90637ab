// A network: layers joined by tensors.
//
// What it models: what every layer computes (a convolution-shaped loop nest, which also serves
// fully connected layers, matrix products and recurrent gates) or moves (pooling, addition,
// concatenation,
// ...), the tensors between them, and how many parameters they hold. Bit-widths are not part of a
// network: see widths.hpp.
//
// What it leaves out: values. Nothing here computes an activation. Element-wise functions are told
// apart only where they cost differently.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace widthwise {

using LayerId = std::size_t;   // index into Network::layers()
using TensorId = std::size_t;  // index into Network::tensors()

enum class LayerKind {
  convolution,      // grouped and depthwise too
  fully_connected,  // activations times constant weights
  matmul,           // activations times activations
  recurrent,        // the gates of an LSTM, GRU or RNN: input part or recurrent part
  pool,
  add,
  mul,
  concat,
  normalization,  // layer or group normalization; batch-norm that could not be folded
  activation,     // element-wise function that could not be fused into its producer
  softmax,
  reduce,  // mean or sum over axes
  move,    // transposition, slice, pad or shuffle that moves data without computing
};

std::string_view to_string(LayerKind kind);

/// True for the kinds that run on the compute engine (they have a ComputeShape).
bool has_macs(LayerKind kind);

/// The loop nest of a layer with multiply-accumulates. All counts in elements.
///
/// A fully connected layer over a batch of B vectors is batch = B, out_h = out_w = 1; a matrix
/// product M x N x K is batch = 1, out_h = M, out_w = 1, out_channels = N, in_channels = K; a
/// batched product of activations has one group per matrix. GEMM view: M = batch out_h out_w, N =
/// out_channels, K = in_channels kernel_h kernel_w, G = groups.
struct ComputeShape {
  std::int64_t batch = 1;
  std::int64_t groups = 1;
  std::int64_t in_channels = 1;   // per group
  std::int64_t out_channels = 1;  // per group
  std::int64_t in_h = 1, in_w = 1;
  std::int64_t out_h = 1, out_w = 1;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t pad_top = 0, pad_left = 0;  // bottom and right follow from the output shape

  /// The nest runs so many times, one after the other, each on the output of the one before: the
  /// recurrent part of an LSTM over `repeat` time steps. Weights are the same each time.
  std::int64_t repeat = 1;

  /// The second operand is an activation tensor (Layer::inputs[1]), not constant weights.
  bool second_operand_is_activation = false;

  [[nodiscard]] std::int64_t m() const { return batch * out_h * out_w; }
  [[nodiscard]] std::int64_t n() const { return out_channels; }
  [[nodiscard]] std::int64_t k() const { return in_channels * kernel_h * kernel_w; }
  [[nodiscard]] std::int64_t macs() const { return repeat * groups * m() * n() * k(); }
  [[nodiscard]] std::int64_t input_elements() const {
    return batch * groups * in_channels * in_h * in_w;
  }
  [[nodiscard]] std::int64_t weight_elements() const { return groups * n() * k(); }
  [[nodiscard]] std::int64_t output_elements() const { return groups * m() * n(); }

  bool operator==(const ComputeShape&) const = default;
};

/// The work of a layer without multiply-accumulates, done by the post-processing unit.
struct VectorShape {
  std::int64_t input_elements = 0;   // read, over all activation inputs, each once
  std::int64_t output_elements = 0;  // written
  std::int64_t operations = 0;       // element operations: comparisons, additions, function values

  bool operator==(const VectorShape&) const = default;
};

/// The windows of a pool, for those who compute its values; its cost is in VectorShape. All counts
/// in elements.
///
/// Layer::op says what is done with a window: "max_pool", "average_pool", "global_max_pool" or
/// "global_average_pool" of network files, "MaxPool", "AveragePool", "GlobalMaxPool" or
/// "GlobalAveragePool" of ONNX. How many windows there are follows from the output shape: a last
/// one may hang over the end (ceil_mode). A pool over one spatial axis has height 1. A global pool
/// has one window of the whole input, without padding; of more than two spatial axes, all but the
/// last count as height.
struct PoolWindow {
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t dilation_h = 1, dilation_w = 1;  // ONNX only
  std::int64_t pad_top = 0, pad_left = 0;
  std::int64_t pad_bottom = 0, pad_right = 0;  // as stated, whether a window reaches it or not

  /// An average divides by all elements of a window that lie in the input or its padding, not by
  /// those in the input alone. What hangs over the padding never counts. Network files cannot ask
  /// for it. A maximum never sees padding.
  bool count_include_pad = false;

  bool operator==(const PoolWindow&) const = default;
};

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;  // batch first
  std::optional<LayerId> producer;  // none: an input of the network
  std::vector<LayerId> consumers;   // empty: only an output of the network
  bool is_output = false;

  [[nodiscard]] std::int64_t elements() const;
};

struct Layer {
  std::string name;  // unique in the network
  LayerKind kind = LayerKind::convolution;
  std::string op;                       // what the source calls it, e.g. "Conv" or "max_pool"
  std::optional<ComputeShape> compute;  // present exactly if has_macs(kind)
  std::optional<VectorShape> vector;    // present exactly otherwise
  std::optional<PoolWindow> pool;       // present exactly for LayerKind::pool; costs ignore it
  std::vector<TensorId> inputs;         // activation tensors in operand order
  TensorId output = 0;
  std::int64_t weights = 0;        // constant parameters at the layer's weight width
  std::int64_t biases = 0;         // parameters that stay at 32 bits (bias, folded batch-norm)
  std::vector<std::string> fused;  // operators done on the fly by the post-processing unit

  [[nodiscard]] std::int64_t macs() const { return compute ? compute->macs() : 0; }
};

/// An immutable, validated, acyclic network. Copying shares the data.
class Network {
 public:
  /// Layers in an order in which every layer follows the producers of its inputs; ties are broken
  /// by the order in the source, so that the order is stable.
  [[nodiscard]] const std::vector<Layer>& layers() const;
  [[nodiscard]] const std::vector<Tensor>& tensors() const;
  [[nodiscard]] const std::string& name() const;

  /// Operators that the user asked to ignore and that stood in the source: "Op (node name)".
  [[nodiscard]] const std::vector<std::string>& ignored() const;

  [[nodiscard]] std::optional<LayerId> find_layer(std::string_view name) const;
  [[nodiscard]] std::int64_t macs() const;
  [[nodiscard]] std::int64_t weights() const;
  [[nodiscard]] std::int64_t biases() const;

 private:
  friend class NetworkBuilder;
  struct Data;
  explicit Network(std::shared_ptr<const Data> data);
  std::shared_ptr<const Data> data_;
};

}  // namespace widthwise
