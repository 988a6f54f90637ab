// What a machine of a space is worth: its figures at fixed widths, or at the widths that suit it
// best under the space's budgets, found with a proof.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/cost/cost_memo.hpp"
#include "models/cost/cost_model.hpp"
#include "models/network/network.hpp"
#include "models/network/widths.hpp"
#include "models/table/cost_table.hpp"
#include "sweep/design_space.hpp"
#include "sweep/space.hpp"

namespace widthwise {

/// A machine's result, as it is kept.
struct MachineResult {
  enum class Status {
    done,
    infeasible,  // no widths meet the budgets
    excluded,    // by a constraint, or the keys do not fit together
    failed,      // its worker crashed or took too long, or it could not be costed
  };
  Status status = Status::failed;
  std::string reason;                // if done, only what is not proven of it
  std::vector<double> values;        // as Evaluator::metrics(); empty unless done
  std::vector<std::string> derived;  // values of the derived keys; empty if excluded
  /// Per network, of its layers with multiply-accumulates: "w8a8 w4a4 ..."; at fixed widths empty.
  std::vector<std::string> widths;
  bool operator==(const MachineResult&) const = default;
};

std::string_view to_string(MachineResult::Status status);

/// Makes the cost model of a network on a machine. The memo outlives it.
using MakeCostModel = std::function<std::unique_ptr<CostModel>(const Network&, const Machine&,
                                                               Fidelity fidelity, CostStore* memo)>;

class Evaluator {
 public:
  /// Reads networks and losses. Throws InputError, all at once. `assignment_of` reads what the
  /// space or its axis `bits` names.
  Evaluator(const DesignSpace& design, MakeCostModel make_model,
            const std::function<Assignment(const Given&)>& assignment_of);

  /// sweep_metrics() that there are; with several networks then theirs, "resnet18.latency_s".
  [[nodiscard]] const std::vector<std::string>& metrics() const { return metrics_; }

  [[nodiscard]] MachineResult evaluate(std::uint64_t cell) const;

  [[nodiscard]] const DesignSpace& space() const { return space_; }
  [[nodiscard]] const std::vector<Network>& networks() const { return networks_; }

  /// Widths of a network at a machine: what was found for it, or what stands in the space.
  [[nodiscard]] Assignment assignment(const Machine& machine, const MachineResult& result,
                                      std::size_t index) const;

  /// Of everything besides the space's own text that results follow from.
  [[nodiscard]] std::string identity() const;

 private:
  /// Finds a network's widths on the machine; false after the result says why there are none.
  [[nodiscard]] bool search(std::size_t index, const Machine& machine, CostModel& fast,
                            CostModel& model, MachineResult& result) const;
  [[nodiscard]] double loss_at(std::size_t network, const WidthPlan& widths) const;

  const DesignSpace& space_;
  MakeCostModel make_model_;
  std::vector<Network> networks_;
  std::vector<CostTable> losses_;                                // per network; without rows: none
  std::vector<std::pair<std::string, Assignment>> assignments_;  // by text
  std::vector<std::string> metrics_;
  bool has_loss_ = false;
  mutable CostMemo memo_;  // layers that machines have in common
};

/// A result on its way between processes, and back.
std::string packed(const MachineResult& result);
MachineResult unpacked_result(std::string_view bytes);

}  // namespace widthwise
