#include "search/loss_rules.hpp"

namespace widthwise::search {

CostTable measured_losses(const Network& network, const SensitivityRequest& request) {
  CostTable table = read_plain_table(network, request.file, {std::string(kLossMetric)});
  if (!table.said("rule")) table.provenance.emplace_back("rule", to_string(request.rule));
  return table;
}

}  // namespace widthwise::search
