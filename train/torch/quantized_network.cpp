#include "train/torch/quantized_network.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "models/base/error.hpp"
#include "search/sensitivity.hpp"
#include "train/torch/fused_ops.hpp"

namespace widthwise {

namespace {

/// What a fused function does to a float tensor. Empty: not known.
std::function<torch::Tensor(const torch::Tensor&)> function_of(const std::string& name) {
  if (name == "relu") return [](const torch::Tensor& x) { return torch::relu(x); };
  if (name == "relu6") return [](const torch::Tensor& x) { return torch::clamp(x, 0, 6); };
  if (name == "sigmoid") return [](const torch::Tensor& x) { return torch::sigmoid(x); };
  if (name == "tanh") return [](const torch::Tensor& x) { return torch::tanh(x); };
  return {};
}

struct BatchNorm {
  torch::Tensor gamma, beta;
  BatchNormState state;
};

/// Clips start at this many standard deviations of what is read, taken from the first batch: of a
/// normal distribution 0.3 % lie beyond.
constexpr double kClipDeviations = 3;

bool is_depthwise(const ComputeShape& shape) {
  return shape.groups > 1 && shape.in_channels == 1 && shape.out_channels == 1;
}

/// Neighbouring axes, not the batch's, whose mean makes `out` of `in`: all that fit the shapes.
std::vector<std::vector<std::int64_t>> reduced_axes(const std::vector<std::int64_t>& in,
                                                    const std::vector<std::int64_t>& out) {
  std::vector<std::vector<std::int64_t>> found;
  for (std::size_t first = 1; first < in.size(); ++first) {
    std::vector<std::int64_t> axes;
    for (std::size_t last = first; last < in.size(); ++last) {
      axes.push_back(static_cast<std::int64_t>(last));
      std::vector<std::int64_t> left = in;
      std::vector<std::int64_t> kept = in;
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(first),
                 left.begin() + static_cast<std::ptrdiff_t>(last) + 1);
      for (const std::int64_t axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
      if (left == out || kept == out) found.push_back(axes);
    }
  }
  return found;
}

bool is_lstm_part(const Layer& layer, const char* part) {
  return layer.kind == LayerKind::recurrent && layer.name.ends_with(part);
}

}  // namespace

struct QuantizedNetwork::Data {
  Data(const Network& network, std::int64_t class_count)
      : net(network), classes(class_count), shapes(activation_shapes(network)) {}

  Network net;
  std::int64_t classes;
  std::vector<ActivationShape> shapes;
  std::vector<QuantizedLayer> layers;
  std::vector<std::ptrdiff_t> index;            // of a LayerId in `layers`, -1: no MACs
  std::vector<std::optional<BatchNorm>> norms;  // per LayerId
  torch::Tensor calibrated;                     // [layers] of 0 and 1
  bool training = true;
  bool quantized = true;
  bool keep_weights = false;

  void check();
  void build();
  void add_parameters(LayerId id);

  [[nodiscard]] QuantizedLayer& layer_of(LayerId id) {
    return layers[static_cast<std::size_t>(index[id])];
  }
  [[nodiscard]] ClipRange range_of(TensorId tensor) const {
    const bool is_input = !net.tensors()[tensor].producer;
    return is_input || shapes[tensor] == ActivationShape::half_normal ? ClipRange::from_zero
                                                                      : ClipRange::both_signs;
  }

  /// The only reader of a tensor if that quantizes it and nothing else sees it.
  [[nodiscard]] std::optional<LayerId> only_quantizer(TensorId id) const {
    const widthwise::Tensor& tensor = net.tensors()[id];
    if (tensor.consumers.size() != 1 || tensor.is_output) return std::nullopt;
    const LayerId reader = tensor.consumers.front();
    const Layer& layer = net.layers()[reader];
    if (!has_macs(layer.kind) || is_lstm_part(layer, "/recurrent")) return std::nullopt;
    return reader;
  }

  torch::Tensor weight(QuantizedLayer& layer, bool rescale);
  void calibrate(QuantizedLayer& layer, const torch::Tensor& x, ClipRange range);
  torch::Tensor read(LayerId reader, const torch::Tensor& x, TensorId id, bool is_quantized);
  torch::Tensor convolution(LayerId id, const torch::Tensor& x, bool& output_is_quantized);
  torch::Tensor fully_connected(LayerId id, const torch::Tensor& x);
  torch::Tensor lstm(LayerId id, const torch::Tensor& gates);
  torch::Tensor pool(const Layer& layer, const torch::Tensor& x) const;
  torch::Tensor reduce(const Layer& layer, const torch::Tensor& x) const;
  static torch::Tensor fused(const Layer& layer, torch::Tensor x);
};

void QuantizedNetwork::Data::check() {
  Diagnostics problems;
  const auto refuse = [&](const std::string& message) {
    problems.error({}, "network", net.name() + ": " + message);
  };
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  for (const widthwise::Tensor& tensor : net.tensors()) {
    inputs += !tensor.producer;
    if (tensor.is_output) {
      ++outputs;
      const std::int64_t batch = std::max<std::int64_t>(tensor.shape.front(), 1);
      if (tensor.elements() / batch < classes) {
        refuse("training needs an output of at least " + std::to_string(classes) +
               " classes, got " + std::to_string(tensor.elements() / batch) + " in " + tensor.name);
      }
    }
  }
  if (inputs != 1 || outputs != 1) {
    refuse("training needs one input and one output, got " + std::to_string(inputs) + " and " +
           std::to_string(outputs));
  }
  for (const Layer& layer : net.layers()) {
    bool known = true;
    switch (layer.kind) {
      case LayerKind::convolution:
        known = layer.compute->repeat == 1;
        break;
      case LayerKind::fully_connected:
      case LayerKind::add:
      case LayerKind::mul:
      case LayerKind::activation:
        break;
      case LayerKind::concat:
        break;
      case LayerKind::recurrent:
        known = layer.op == "lstm";
        break;
      case LayerKind::pool:
        known = layer.pool->dilation_h == 1 && layer.pool->dilation_w == 1;
        break;
      case LayerKind::reduce:
        known = layer.op == "mean" && reduced_axes(net.tensors()[layer.inputs.front()].shape,
                                                   net.tensors()[layer.output].shape)
                                              .size() == 1;
        break;
      default:
        known = false;
    }
    if (!known) {
      refuse("training does not know layers of kind " + std::string(to_string(layer.kind)) + " (" +
             layer.op + "): " + layer.name);
      continue;
    }
    if (layer.kind == LayerKind::recurrent) continue;
    for (const std::string& name : layer.fused) {
      if (!function_of(name)) {
        refuse("training does not know the function " + name + " of " + layer.name);
      }
    }
  }
  problems.throw_if_any();
}

void QuantizedNetwork::Data::add_parameters(LayerId id) {
  const Layer& layer = net.layers()[id];
  const ComputeShape& shape = *layer.compute;
  QuantizedLayer made;
  made.layer = id;
  made.name = layer.name;
  made.weight_slot = std::make_shared<WidthSlot>(WidthSlot{{8}, {0}, false});
  made.activation_slot = std::make_shared<WidthSlot>(WidthSlot{{8}, {0}, false});
  made.clip = torch::ones({1});
  const bool reads_input = !net.tensors()[layer.inputs.front()].producer;
  made.clip.set_requires_grad(!reads_input);
  if (layer.kind == LayerKind::convolution) {
    const std::int64_t out = shape.groups * shape.out_channels;
    const double fan_out =
        static_cast<double>(shape.out_channels * shape.kernel_h * shape.kernel_w);
    made.weight = (torch::randn({out, shape.in_channels, shape.kernel_h, shape.kernel_w}) *
                   std::sqrt(2 / fan_out))
                      .contiguous(torch::MemoryFormat::ChannelsLast);
    BatchNorm norm;
    norm.gamma = torch::ones({out}).set_requires_grad(true);
    norm.beta = torch::zeros({out}).set_requires_grad(true);
    norm.state.running_mean = torch::zeros({out});
    norm.state.running_var = torch::ones({out});
    norms[id] = std::move(norm);
  } else {
    const std::int64_t in = shape.in_channels * shape.kernel_h * shape.kernel_w;
    const double bound = std::sqrt(1 / static_cast<double>(in));
    made.weight = torch::empty({shape.groups * shape.out_channels, in}).uniform_(-bound, bound);
    if (layer.biases > 0) {
      made.bias = torch::zeros({shape.groups * shape.out_channels}).set_requires_grad(true);
    }
  }
  made.weight.set_requires_grad(true);
  index[id] = static_cast<std::ptrdiff_t>(layers.size());
  layers.push_back(std::move(made));
}

void QuantizedNetwork::Data::build() {
  const std::size_t count = net.layers().size();
  index.assign(count, -1);
  norms.resize(count);
  for (LayerId id = 0; id < count; ++id) {
    if (has_macs(net.layers()[id].kind)) add_parameters(id);
  }
  calibrated = torch::zeros({static_cast<std::int64_t>(layers.size())});
}

torch::Tensor QuantizedNetwork::Data::weight(QuantizedLayer& layer, bool rescale) {
  if (!quantized) return layer.weight;
  torch::Tensor made = quantize_weights(layer.weight, layer.weight_slot, rescale);
  if (keep_weights && made.requires_grad()) {
    made.retain_grad();
    layer.quantized = made;
  }
  return made;
}

// The first batch in training sets a clip, unless it is known: pixels and an LSTM's state are at
// most 1.
void QuantizedNetwork::Data::calibrate(QuantizedLayer& layer, const torch::Tensor& x,
                                       ClipRange range) {
  const auto at = static_cast<std::int64_t>(index[layer.layer]);
  float* done = calibrated.data_ptr<float>() + at;
  if (*done != 0 || !training) return;
  *done = 1;
  if (!layer.clip.requires_grad() || is_lstm_part(net.layers()[layer.layer], "/recurrent")) return;
  const torch::NoGradGuard no_gradient;
  const double power = x.detach().square().mean().item<double>();
  const double deviation = std::sqrt(range == ClipRange::from_zero ? 2 * power : power);
  layer.clip.fill_(std::max(kClipDeviations * deviation, 1e-3));
}

torch::Tensor QuantizedNetwork::Data::read(LayerId reader, const torch::Tensor& x, TensorId id,
                                           bool is_quantized) {
  if (!quantized || is_quantized) return x;
  QuantizedLayer& layer = layer_of(reader);
  const ClipRange range = range_of(id);
  calibrate(layer, x, range);
  return quantize_activations(x, layer.clip, layer.activation_slot, range);
}

torch::Tensor QuantizedNetwork::Data::convolution(LayerId id, const torch::Tensor& x,
                                                  bool& output_is_quantized) {
  const Layer& layer = net.layers()[id];
  const ComputeShape& shape = *layer.compute;
  QuantizedLayer& own = layer_of(id);
  const std::int64_t batch = x.size(0);
  torch::Tensor in =
      x.dim() == 4 ? x
                   : x.reshape({batch, shape.groups * shape.in_channels, shape.in_h, shape.in_w});
  // Of the padding at the bottom and the right the output shape tells how much there is.
  const auto behind = [](std::int64_t size, std::int64_t out, std::int64_t kernel,
                         std::int64_t stride, std::int64_t dilation, std::int64_t before) {
    return (out - 1) * stride + dilation * (kernel - 1) + 1 - size - before;
  };
  const std::int64_t bottom = behind(shape.in_h, shape.out_h, shape.kernel_h, shape.stride_h,
                                     shape.dilation_h, shape.pad_top);
  const std::int64_t right = behind(shape.in_w, shape.out_w, shape.kernel_w, shape.stride_w,
                                    shape.dilation_w, shape.pad_left);
  std::vector<std::int64_t> padding{shape.pad_top, shape.pad_left};
  // Less than what stands in front is what a stride leaves over, and is not read.
  if (bottom > shape.pad_top || right > shape.pad_left) {
    in = torch::constant_pad_nd(in, {shape.pad_left, std::max<std::int64_t>(right, 0),
                                     shape.pad_top, std::max<std::int64_t>(bottom, 0)});
    padding = {0, 0};
  }
  torch::Tensor out = torch::conv2d(in, weight(own, false), {}, {shape.stride_h, shape.stride_w},
                                    padding, {shape.dilation_h, shape.dilation_w}, shape.groups);
  if (out.size(2) != shape.out_h || out.size(3) != shape.out_w) {  // padded on both sides alike
    out = out.slice(2, 0, shape.out_h)
              .slice(3, 0, shape.out_w)
              .contiguous(torch::MemoryFormat::ChannelsLast);
  }

  BatchNorm& norm = *norms[id];
  const bool is_relu = layer.fused.size() == 1 && layer.fused.front() == "relu";
  const auto reader = only_quantizer(layer.output);
  const ClipRange range = range_of(layer.output);
  const bool is_simple = layer.fused.empty() || is_relu;
  if (quantized && reader && is_simple && (is_relu == (range == ClipRange::from_zero))) {
    QuantizedLayer& next = layer_of(*reader);
    if (training && calibrated.data_ptr<float>()[index[*reader]] == 0) {
      calibrated.data_ptr<float>()[index[*reader]] = 1;
      const torch::NoGradGuard no_gradient;
      next.clip.fill_(kClipDeviations);  // what a batch norm makes has deviation 1
    }
    output_is_quantized = true;
    return norm_activation(out, norm.gamma, norm.beta, norm.state, training,
                           is_relu ? Activation::relu : Activation::none, next.clip,
                           next.activation_slot, range, own.keep);
  }
  const torch::Tensor normed =
      norm_activation(out, norm.gamma, norm.beta, norm.state, training,
                      is_relu ? Activation::relu : Activation::none, {}, nullptr, range, own.keep);
  return is_simple ? normed : fused(layer, normed);
}

torch::Tensor QuantizedNetwork::Data::fully_connected(LayerId id, const torch::Tensor& x) {
  const Layer& layer = net.layers()[id];
  QuantizedLayer& own = layer_of(id);
  const ComputeShape& shape = *layer.compute;
  const std::int64_t features = shape.in_channels * shape.kernel_h * shape.kernel_w;
  torch::Tensor out = torch::linear(x.reshape({-1, features}), weight(own, true),
                                    own.bias.defined() ? own.bias : torch::Tensor());
  if (own.keep.defined()) out = out * own.keep;
  const std::int64_t positions = out.size(0) / x.size(0);
  if (positions > 1) out = out.reshape({x.size(0), positions, out.size(1)});
  return fused(layer, out);
}

// gates: [batch, sequence, 4 hidden], what the input adds. Order of the gates: input, forget, cell,
// output, as torch has them.
torch::Tensor QuantizedNetwork::Data::lstm(LayerId id, const torch::Tensor& gates) {
  QuantizedLayer& own = layer_of(id);
  const std::int64_t batch = gates.size(0);
  const std::int64_t steps = gates.size(1);
  const std::int64_t hidden = gates.size(2) / 4;
  const torch::Tensor matrix = weight(own, true).t();
  torch::Tensor state = torch::zeros({batch, hidden});
  torch::Tensor cell = torch::zeros({batch, hidden});
  std::vector<torch::Tensor> states;
  const auto inputs = gates.unbind(1);
  for (std::int64_t step = 0; step < steps; ++step) {
    torch::Tensor read = state;
    if (quantized) {
      read = quantize_activations(state, own.clip, own.activation_slot, ClipRange::both_signs);
    }
    torch::Tensor sum = torch::addmm(inputs[static_cast<std::size_t>(step)], read, matrix);
    if (own.bias.defined()) sum = sum + own.bias;
    const auto parts = sum.chunk(4, 1);
    cell = torch::sigmoid(parts[1]) * cell + torch::sigmoid(parts[0]) * torch::tanh(parts[2]);
    state = torch::sigmoid(parts[3]) * torch::tanh(cell);
    states.push_back(state);
  }
  return torch::stack(states, 1);
}

torch::Tensor QuantizedNetwork::Data::pool(const Layer& layer, const torch::Tensor& x) const {
  const PoolWindow& window = *layer.pool;
  const auto& out = net.tensors()[layer.output].shape;
  const std::vector<std::int64_t> kernel{window.kernel_h, window.kernel_w};
  const std::vector<std::int64_t> stride{window.stride_h, window.stride_w};
  const bool is_max =
      layer.op.find("max") != std::string::npos || layer.op.find("Max") != std::string::npos;
  if (!is_max && x.size(2) == window.kernel_h && x.size(3) == window.kernel_w) {
    return x.mean({2, 3}, true);
  }
  // Padding in front; behind, as much as the output's shape needs.
  const auto behind = [](std::int64_t size, std::int64_t outs, std::int64_t k, std::int64_t s,
                         std::int64_t before) {
    return std::max<std::int64_t>((outs - 1) * s + k - size - before, 0);
  };
  const std::int64_t bottom =
      behind(x.size(2), out[2], window.kernel_h, window.stride_h, window.pad_top);
  const std::int64_t right =
      behind(x.size(3), out[3], window.kernel_w, window.stride_w, window.pad_left);
  const std::vector<std::int64_t> padding{window.pad_left, right, window.pad_top, bottom};
  const bool is_padded = std::any_of(padding.begin(), padding.end(), [](auto p) { return p > 0; });
  if (is_max) {
    const torch::Tensor in =
        is_padded ? torch::constant_pad_nd(x, padding, -std::numeric_limits<float>::infinity()) : x;
    return torch::max_pool2d(in, kernel, stride);
  }
  if (!is_padded) return torch::avg_pool2d(x, kernel, stride);
  const torch::Tensor sum = torch::avg_pool2d(torch::constant_pad_nd(x, padding), kernel, stride);
  const torch::Tensor share =
      torch::avg_pool2d(torch::constant_pad_nd(torch::ones({1, 1, x.size(2), x.size(3)}), padding,
                                               window.count_include_pad ? 1 : 0),
                        kernel, stride);
  return sum / share;
}

torch::Tensor QuantizedNetwork::Data::reduce(const Layer& layer, const torch::Tensor& x) const {
  const auto& out = net.tensors()[layer.output].shape;
  const std::vector<std::vector<std::int64_t>> axes =
      reduced_axes(net.tensors()[layer.inputs.front()].shape, out);
  return x.mean(axes.front(), static_cast<std::size_t>(x.dim()) == out.size());
}

torch::Tensor QuantizedNetwork::Data::fused(const Layer& layer, torch::Tensor x) {
  for (const std::string& name : layer.fused) x = function_of(name)(x);
  return x;
}

QuantizedNetwork::QuantizedNetwork(const Network& network, std::int64_t classes)
    : data_(std::make_unique<Data>(network, classes)) {
  data_->check();
  data_->build();
}

QuantizedNetwork::~QuantizedNetwork() = default;

torch::Tensor QuantizedNetwork::forward(const torch::Tensor& images) {
  Data& d = *data_;
  const auto& tensors = d.net.tensors();
  std::vector<torch::Tensor> values(tensors.size());
  std::vector<bool> is_quantized(tensors.size(), false);
  std::vector<std::size_t> readers_left(tensors.size());
  TensorId output = 0;
  for (TensorId id = 0; id < tensors.size(); ++id) {
    readers_left[id] = tensors[id].consumers.size();
    if (tensors[id].is_output) output = id;
    if (!tensors[id].producer) {
      std::vector<std::int64_t> shape = tensors[id].shape;
      shape[0] = images.size(0);
      values[id] = images.sizes().vec() == shape ? images : images.reshape(shape);
    }
  }
  for (LayerId id = 0; id < d.net.layers().size(); ++id) {
    const Layer& layer = d.net.layers()[id];
    const TensorId first = layer.inputs.front();
    torch::Tensor x = values[first];
    torch::Tensor y;
    bool quantized_output = false;
    switch (layer.kind) {
      case LayerKind::convolution:
        y = d.convolution(id, d.read(id, x, first, is_quantized[first]), quantized_output);
        break;
      case LayerKind::fully_connected:
        y = d.fully_connected(id, d.read(id, x, first, is_quantized[first]));
        break;
      case LayerKind::recurrent:
        y = is_lstm_part(layer, "/recurrent")
                ? d.lstm(id, x)
                : d.fully_connected(id, d.read(id, x, first, is_quantized[first]));
        break;
      case LayerKind::pool:
        y = Data::fused(layer, d.pool(layer, x));
        break;
      case LayerKind::add:
        y = x;
        for (std::size_t i = 1; i < layer.inputs.size(); ++i) y = y + values[layer.inputs[i]];
        y = Data::fused(layer, y);
        break;
      case LayerKind::mul:
        y = x;
        for (std::size_t i = 1; i < layer.inputs.size(); ++i) y = y * values[layer.inputs[i]];
        y = Data::fused(layer, y);
        break;
      case LayerKind::concat: {
        std::vector<torch::Tensor> parts;
        for (const TensorId in : layer.inputs) parts.push_back(values[in]);
        y = Data::fused(layer, torch::cat(parts, 1));
        break;
      }
      case LayerKind::reduce:
        y = d.reduce(layer, x);
        break;
      default:
        y = Data::fused(layer, x);
    }
    for (const TensorId in : layer.inputs) {
      if (--readers_left[in] == 0 && in != output) values[in].reset();
    }
    values[layer.output] = y;
    is_quantized[layer.output] = quantized_output;
  }
  return values[output].reshape({images.size(0), -1});
}

void QuantizedNetwork::set_training(bool training) { data_->training = training; }
void QuantizedNetwork::set_quantized(bool quantized) { data_->quantized = quantized; }
void QuantizedNetwork::keep_quantized_weights(bool keep) {
  data_->keep_weights = keep;
  if (!keep) {
    for (QuantizedLayer& layer : data_->layers) layer.quantized.reset();
  }
}

std::vector<QuantizedLayer>& QuantizedNetwork::layers() { return data_->layers; }

std::vector<torch::Tensor> QuantizedNetwork::decayed() const {
  std::vector<torch::Tensor> tensors;
  for (const QuantizedLayer& layer : data_->layers) {
    if (!is_depthwise(*data_->net.layers()[layer.layer].compute)) tensors.push_back(layer.weight);
  }
  return tensors;
}

std::vector<torch::Tensor> QuantizedNetwork::not_decayed() const {
  std::vector<torch::Tensor> tensors;
  for (const QuantizedLayer& layer : data_->layers) {
    if (is_depthwise(*data_->net.layers()[layer.layer].compute)) tensors.push_back(layer.weight);
    if (layer.bias.defined()) tensors.push_back(layer.bias);
    if (layer.clip.requires_grad()) tensors.push_back(layer.clip);
    if (const auto& norm = data_->norms[layer.layer]) {
      tensors.push_back(norm->gamma);
      tensors.push_back(norm->beta);
    }
  }
  return tensors;
}

std::vector<std::pair<std::string, torch::Tensor>> QuantizedNetwork::state() const {
  std::vector<std::pair<std::string, torch::Tensor>> all;
  for (const QuantizedLayer& layer : data_->layers) {
    all.emplace_back(layer.name + ".weight", layer.weight);
    if (layer.bias.defined()) all.emplace_back(layer.name + ".bias", layer.bias);
    all.emplace_back(layer.name + ".clip", layer.clip);
    if (const auto& norm = data_->norms[layer.layer]) {
      all.emplace_back(layer.name + ".gamma", norm->gamma);
      all.emplace_back(layer.name + ".beta", norm->beta);
      all.emplace_back(layer.name + ".running_mean", norm->state.running_mean);
      all.emplace_back(layer.name + ".running_var", norm->state.running_var);
    }
  }
  all.emplace_back("calibrated", data_->calibrated);
  return all;
}

}  // namespace widthwise
