#include "models/network/network_builder.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include <boost/graph/adjacency_list.hpp>

#include "models/network/network_data.hpp"

namespace widthwise {

namespace {

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS>;

// Every node that is left over after sorting has a dependency that is left over too, so that
// walking from dependency to dependency must come round.
std::vector<std::size_t> find_cycle(const Graph& graph, const std::vector<bool>& sorted) {
  const auto first = std::find(sorted.begin(), sorted.end(), false);
  std::vector<std::size_t> walk;
  std::vector<std::size_t> step_of(sorted.size(), sorted.size());
  std::size_t node = static_cast<std::size_t>(first - sorted.begin());
  while (step_of[node] == sorted.size()) {
    step_of[node] = walk.size();
    walk.push_back(node);
    const auto [begin, end] = boost::in_edges(node, graph);
    const auto edge =
        std::find_if(begin, end, [&](const auto& in) { return !sorted[boost::source(in, graph)]; });
    ensure(edge != end, "a node that cannot be sorted waits for another one");
    node = boost::source(*edge, graph);
  }
  std::vector<std::size_t> cycle(walk.begin() + static_cast<std::ptrdiff_t>(step_of[node]),
                                 walk.end());
  std::reverse(cycle.begin(), cycle.end());
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

/// a * b, or nothing beyond the limit. Both are at least 1.
std::optional<std::int64_t> product(std::int64_t a, std::int64_t b, std::int64_t limit) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result) || result > limit) return std::nullopt;
  return result;
}

std::optional<std::int64_t> product(std::initializer_list<std::int64_t> factors,
                                    std::int64_t limit) {
  std::optional<std::int64_t> result = 1;
  for (const std::int64_t factor : factors) {
    ensure(factor >= 1, "sizes of a layer are at least 1");
    if (result) result = product(*result, factor, limit);
  }
  return result;
}

bool within_bounds(const ComputeShape& shape) {
  return product({shape.batch, shape.groups, shape.in_channels, shape.in_h, shape.in_w},
                 kMaxElements) &&
         product(
             {shape.groups, shape.out_channels, shape.in_channels, shape.kernel_h, shape.kernel_w},
             kMaxElements) &&
         product({shape.batch, shape.groups, shape.out_channels, shape.out_h, shape.out_w},
                 kMaxElements) &&
         product({shape.repeat, shape.batch, shape.groups, shape.out_channels, shape.out_h,
                  shape.out_w, shape.in_channels, shape.kernel_h, shape.kernel_w},
                 kMaxMacs);
}

/// What the layers of a network sum up to.
class Totals {
 public:
  /// False, and nothing added, if the layer is or makes the network too large.
  bool add(const Layer& layer) {
    if (layer.compute && !within_bounds(*layer.compute)) return false;
    const std::int64_t macs = macs_ + layer.macs();
    const std::int64_t parameters = parameters_ + layer.weights + layer.biases;
    if (macs > kMaxMacs || parameters > kMaxParameters) return false;
    macs_ = macs;
    parameters_ = parameters;
    return true;
  }

 private:
  std::int64_t macs_ = 0;
  std::int64_t parameters_ = 0;
};

// What a source can not get wrong, because it comes from our own shape inference.
void check_consistency(const Layer& layer, const std::vector<Tensor>& tensors) {
  ensure(layer.compute.has_value() == has_macs(layer.kind), "only layers with MACs have a nest");
  ensure(layer.vector.has_value() != layer.compute.has_value(), "a layer has one kind of work");
  ensure(layer.pool.has_value() == (layer.kind == LayerKind::pool), "only pools have windows");
  ensure(layer.weights >= 0 && layer.biases >= 0, "parameters are counted from 0");
  ensure(!layer.inputs.empty(), "a layer has an input");
  for (const TensorId input : layer.inputs)
    ensure(input < tensors.size(), "an input of a layer is a tensor");
  if (!layer.compute) return;
  const ComputeShape& shape = *layer.compute;
  if (shape.second_operand_is_activation) {
    ensure(layer.inputs.size() == 2 && layer.weights == 0,
           "a product of activations has two inputs and no weights");
  } else {
    ensure(layer.weights == shape.weight_elements(), "weights agree with the nest");
  }
  if (layer.kind == LayerKind::convolution || layer.kind == LayerKind::fully_connected) {
    ensure(shape.output_elements() == tensors[layer.output].elements(),
           "the output agrees with the nest");
  }
}

}  // namespace

DependencyOrder dependency_order(std::size_t count,
                                 const std::vector<std::pair<std::size_t, std::size_t>>& edges) {
  const Graph graph(edges.begin(), edges.end(), count);
  std::vector<std::size_t> waits_for(count);
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t node = 0; node < count; ++node) {
    waits_for[node] = boost::in_degree(node, graph);
    if (waits_for[node] == 0) ready.push(node);
  }
  DependencyOrder result;
  std::vector<bool> sorted(count, false);
  while (!ready.empty()) {
    const std::size_t node = ready.top();
    ready.pop();
    sorted[node] = true;
    result.order.push_back(node);
    const auto [begin, end] = boost::out_edges(node, graph);
    for (auto edge = begin; edge != end; ++edge) {
      const std::size_t dependent = boost::target(*edge, graph);
      if (--waits_for[dependent] == 0) ready.push(dependent);
    }
  }
  if (result.order.size() < count) {
    result.order.clear();
    result.cycle = find_cycle(graph, sorted);
  }
  return result;
}

std::string describe_cycle(const std::vector<std::string>& names) {
  constexpr std::size_t kShownAtEitherEnd = 4;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names.size() > 2 * kShownAtEitherEnd + 1 && i == kShownAtEitherEnd) {
      const std::size_t hidden = names.size() - 2 * kShownAtEitherEnd;
      text += "(" + std::to_string(hidden) + " more) -> ";
      i += hidden;
    }
    text += names[i] + " -> ";
  }
  return text + names.front();
}

NetworkBuilder::NetworkBuilder(std::string name, SourcePlace place)
    : name_(std::move(name)), place_(std::move(place)) {}

TensorId NetworkBuilder::add_input(std::string name, std::vector<std::int64_t> shape) {
  return add_tensor(std::move(name), std::move(shape));
}

TensorId NetworkBuilder::add_tensor(std::string name, std::vector<std::int64_t> shape) {
  tensors_.push_back({std::move(name), std::move(shape), std::nullopt, {}, false});
  return tensors_.size() - 1;
}

LayerId NetworkBuilder::add_layer(Layer layer, SourcePlace place) {
  ensure(layer.output < tensors_.size(), "the output of a layer is a tensor");
  ensure(!tensors_[layer.output].producer, "a tensor has one producer");
  const LayerId id = layers_.size();
  tensors_[layer.output].producer = id;
  layers_.push_back(std::move(layer));
  layer_places_.push_back(std::move(place));
  return id;
}

void NetworkBuilder::mark_output(TensorId tensor) { tensors_.at(tensor).is_output = true; }

void NetworkBuilder::add_ignored(std::string what) { ignored_.push_back(std::move(what)); }

Network NetworkBuilder::build() {
  Diagnostics problems;
  if (layers_.empty()) problems.error(place_, "", "the network has no layers");

  std::unordered_set<std::string> names;
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  Totals totals;
  for (LayerId id = 0; id < layers_.size(); ++id) {
    const Layer& layer = layers_[id];
    if (!names.insert(layer.name).second)
      problems.error(layer_places_[id], layer.name, "two layers have this name");
    for (const TensorId input : layer.inputs) {
      if (tensors_.at(input).producer) edges.emplace_back(*tensors_[input].producer, id);
    }
    if (!totals.add(layer)) {
      problems.error(layer_places_[id], layer.name,
                     "too large: a tensor is bounded by 2^48 elements, a network by 2^52 "
                     "multiply-accumulates and 2^52 parameters");
    }
  }
  const DependencyOrder sorted = dependency_order(layers_.size(), edges);
  if (!sorted.cycle.empty()) {
    std::vector<std::string> cycle;
    for (const std::size_t id : sorted.cycle) cycle.push_back(layers_[id].name);
    problems.error(layer_places_[sorted.cycle.front()], "",
                   "the network has a cycle: " + describe_cycle(cycle));
  }
  problems.throw_if_any();

  auto data = std::make_shared<Network::Data>();
  data->name = std::move(name_);
  data->tensors = std::move(tensors_);
  data->ignored = std::move(ignored_);
  data->layers.reserve(layers_.size());
  for (const std::size_t source : sorted.order) {
    const LayerId id = data->layers.size();
    data->layers.push_back(std::move(layers_[source]));
    const Layer& layer = data->layers.back();
    check_consistency(layer, data->tensors);
    data->tensors[layer.output].producer = id;
    for (const TensorId input : layer.inputs) {
      std::vector<LayerId>& consumers = data->tensors[input].consumers;
      if (consumers.empty() || consumers.back() != id) consumers.push_back(id);
    }
  }
  *this = NetworkBuilder("");
  return Network(std::move(data));
}

}  // namespace widthwise
