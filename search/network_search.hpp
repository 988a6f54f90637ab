// Widths for a network on a machine: the problem is made from a fast cost model, solved with its
// proof, and the answer is costed by a slow one, the simulation of the whole network. If the two
// differ, the fast model is corrected at the answer and the problem is solved again.
//
// The proof is for the costs that the problem was solved with, which are within `tolerance` of the
// simulation at the answer; elsewhere they are those of the fast model, corrected by the factors of
// the last answer.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/base/error.hpp"
#include "models/cost/cost_model.hpp"
#include "models/hardware/accelerator.hpp"
#include "models/network/network.hpp"
#include "models/table/cost_table.hpp"
#include "search/network_problem.hpp"
#include "search/problem.hpp"
#include "search/solver.hpp"

namespace widthwise {

/// A budget on the loss or a metric of the cost model.
struct MetricBudget {
  std::string metric;
  BudgetForm form;
  SourcePlace place;
};

struct SearchRequest {
  std::vector<BitWidth> weight_bits{2, 3, 4, 5, 6, 7, 8};      // ascending
  std::vector<BitWidth> activation_bits{2, 3, 4, 5, 6, 7, 8};  // ascending
  std::map<std::string, double> minimize{{"loss", 1.0}};       // weights of "loss" and metrics
  std::vector<MetricBudget> budgets;
  std::vector<WidthRule> pins;
  std::vector<std::vector<std::string>> ties;  // layers of the same widths
  std::vector<std::string> report_costs;       // further metrics to total up
  SolveOptions solve = {};
  double tolerance = 0.005;       // between predicted and simulated totals, relative
  double stored_width_error = 0;  // of the problem's costs (network_problem.hpp)
  int most_rounds = 5;
};

/// What was predicted of an answer and what the simulation says, per cost of the problem.
struct Confirmation {
  std::vector<double> predicted, simulated;
  bool within_tolerance = false;  // all costs that budgets or the objective name
  bool within_budgets = false;    // simulated
};

struct SearchOutcome {
  NetworkProblem network_problem;  // of the last round
  Solution solution;
  Assignment assignment;             // of the answer
  std::vector<Confirmation> rounds;  // one per solve that had an answer
  bool confirmed = false;            // the last round is within tolerance and budgets
  std::vector<std::string> layers;   // names of all layers, in execution order
  std::vector<std::vector<double>> simulated_layers;  // their simulated costs at the answer
};

struct SearchModels {
  CostModel* fast = nullptr;     // e.g. analytic
  CostModel* confirm = nullptr;  // simulation; may be the same
};

/// `progress` is told what is being done. Throws InputError: metrics, layers and widths that are
/// not there, budgets that contradict themselves. Infeasible is a status of the solution.
SearchOutcome search_network(const Network& network, const Accelerator& accelerator,
                             const SearchModels& models, const CostTable& losses,
                             const SearchRequest& request,
                             const std::function<void(const std::string&)>& progress = {});

}  // namespace widthwise
