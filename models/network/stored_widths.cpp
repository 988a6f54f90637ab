#include "models/network/stored_widths.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace widthwise {

namespace {

void add_reader(StorageRule& rule, LayerId reader) {
  const auto at = std::lower_bound(rule.readers.begin(), rule.readers.end(), reader);
  if (at == rule.readers.end() || *at != reader) rule.readers.insert(at, reader);
}

// `rule` asks for all that `more` asks for too.
void merge(StorageRule& rule, const StorageRule& more) {
  rule.floor = std::max(rule.floor, more.floor);
  std::vector<LayerId> readers;
  std::set_union(rule.readers.begin(), rule.readers.end(), more.readers.begin(), more.readers.end(),
                 std::back_inserter(readers));
  rule.readers = std::move(readers);
}

bool asks_for_nothing(const StorageRule& rule) { return rule.floor == 0 && rule.readers.empty(); }

}  // namespace

std::vector<StorageRule> storage_rules(const Network& network, BitWidth output_bits) {
  std::vector<StorageRule> rules(network.tensors().size());
  for (TensorId id = 0; id < rules.size(); ++id) {
    if (network.tensors()[id].is_output) rules[id].floor = output_bits;
  }
  // Backwards: what a layer without multiply-accumulates asks for follows from its own output.
  for (LayerId id = network.layers().size(); id-- > 0;) {
    const Layer& layer = network.layers()[id];
    if (asks_for_nothing(rules[layer.output])) rules[layer.output].floor = output_bits;
    for (const TensorId input : layer.inputs) {
      if (has_macs(layer.kind)) {
        add_reader(rules[input], id);
      } else {
        merge(rules[input], rules[layer.output]);
      }
    }
  }
  for (StorageRule& rule : rules) {
    if (asks_for_nothing(rule)) rule.floor = output_bits;  // an input that no layer reads
  }
  return rules;
}

}  // namespace widthwise
