#include "cli/run_request.hpp"

namespace widthwise {

namespace {

template <class T>
void fill(std::optional<T>& ours, const std::optional<T>& theirs) {
  if (!ours) {
    ours = theirs;
  }
}

template <class T>
void put_first(std::vector<T>& ours, const std::vector<T>& theirs) {
  ours.insert(ours.begin(), theirs.begin(), theirs.end());
}

}  // namespace

void RunRequest::fill_from(const RunRequest& other) {
  fill(accelerator, other.accelerator);
  fill(network, other.network);
  fill(bits, other.bits);
  fill(fidelity, other.fidelity);
  fill(batch, other.batch);
  fill(ideal_memory, other.ideal_memory);
  put_first(parameters, other.parameters);
  put_first(overrides, other.overrides);
  put_first(ignore, other.ignore);
  fill(seed, other.seed);
  fill(weights, other.weights);
  put_first(unsigned_operands, other.unsigned_operands);
  fill(json, other.json);
  fill(csv, other.csv);
  fill(trace, other.trace);
  fill(vcd, other.vcd);
  fill(report, other.report);
}

}  // namespace widthwise
