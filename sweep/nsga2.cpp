#include <algorithm>
#include <utility>

#include <pagmo/algorithm.hpp>
#include <pagmo/algorithms/nsga2.hpp>
#include <pagmo/batch_evaluators/member_bfe.hpp>
#include <pagmo/bfe.hpp>
#include <pagmo/population.hpp>
#include <pagmo/problem.hpp>
#include <pagmo/types.hpp>

#include "models/base/error.hpp"
#include "sweep/strategy.hpp"

namespace widthwise {

namespace {

/// Worse than any figure.
constexpr double kNone = 1e300;

/// The space as pagmo has it: a point is the indices, as doubles, of the axes that have a choice.
struct IndexProblem {
  std::size_t axes = 0;
  std::vector<std::size_t> varying;  // axes with more than one value
  std::vector<std::size_t> extents;  // of these
  std::size_t objectives = 1;
  const EvaluateAll* evaluate = nullptr;

  [[nodiscard]] pagmo::vector_double batch_fitness(const pagmo::vector_double& points) const {
    std::vector<std::vector<std::size_t>> coordinates;
    for (std::size_t at = 0; at < points.size(); at += extents.size()) {
      auto& point = coordinates.emplace_back(axes, 0);
      for (std::size_t v = 0; v < varying.size(); ++v) {
        point[varying[v]] = static_cast<std::size_t>(points[at + v]);
      }
    }
    const std::vector<Objectives> answers = (*evaluate)(coordinates);
    pagmo::vector_double fitness;
    for (const Objectives& answer : answers) {
      for (std::size_t o = 0; o < objectives; ++o) {
        fitness.push_back(answer ? (*answer)[o] : kNone);
      }
    }
    return fitness;
  }

  [[nodiscard]] pagmo::vector_double fitness(const pagmo::vector_double& point) const {
    return batch_fitness(point);
  }
  [[nodiscard]] std::pair<pagmo::vector_double, pagmo::vector_double> get_bounds() const {
    pagmo::vector_double greatest;
    for (const std::size_t extent : extents) greatest.push_back(static_cast<double>(extent - 1));
    return {pagmo::vector_double(extents.size(), 0.0), greatest};
  }
  [[nodiscard]] pagmo::vector_double::size_type get_nobj() const { return objectives; }
  [[nodiscard]] pagmo::vector_double::size_type get_nix() const { return extents.size(); }
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};

}  // namespace

void evolve(const StrategySettings& settings, const std::vector<std::size_t>& extents,
            std::size_t objectives, const EvaluateAll& evaluate) {
  ensure(!extents.empty(), "a space has axes");
  const auto seed = static_cast<unsigned>(settings.seed);
  IndexProblem indices{extents.size(), {}, {}, objectives, &evaluate};
  for (std::size_t a = 0; a < extents.size(); ++a) {
    if (extents[a] < 2) continue;
    indices.varying.push_back(a);
    indices.extents.push_back(extents[a]);
  }
  if (indices.varying.empty()) {
    evaluate({std::vector<std::size_t>(extents.size(), 0)});
    return;
  }
  const pagmo::problem problem(std::move(indices));
  const pagmo::bfe together{pagmo::member_bfe{}};
  pagmo::population population(problem, together, settings.population, seed);
  pagmo::nsga2 method(static_cast<unsigned>(settings.generations), 0.95, 10., 0.1, 20., seed);
  method.set_bfe(together);
  method.evolve(population);
}

}  // namespace widthwise
