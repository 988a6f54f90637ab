// The shipped problems: published answers, and what the files say about themselves.

#include <cmath>
#include <filesystem>

#include <catch2/catch.hpp>

#include "models/network/network_yaml.hpp"
#include "search/problem_reader.hpp"
#include "search/solver.hpp"

namespace widthwise {
namespace {

const std::string kProblems = std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/problems/";

std::string bits(const Problem& problem, const Choice& choice) {
  std::string text;
  for (std::size_t g = 0; g < choice.size(); ++g) {
    text += std::to_string(problem.groups[g].options[choice[g]].weight_bits);
  }
  return text;
}

TEST_CASE("HAWQ-V3's nine problems of ResNet-18 have the published answers") {
  struct Case {
    const char* name;
    // Least + fraction (greatest - least). The repository counts bit operations in 1.024e9.
    double limit;
    const char* bits;  // published, layer by layer
  };
  for (const Case& c : {
           Case{"size_0.75", 9.310546875, "8888888888888488884"},
           Case{"size_0.5", 7.98046875, "8888888888888884844"},
           Case{"size_0.25", 6.650390625, "8888888888888844444"},
           Case{"bitops_0.75", 1.024 * 86.102016, "8888888848888484884"},
           Case{"bitops_0.5", 1.024 * 66.23232, "8884888848884444444"},
           Case{"bitops_0.25", 1.024 * 46.362624, "8884848444444444444"},
           Case{"latency_0.75", 4.7949335575, "8888888848888484884"},
           Case{"latency_0.5", 4.246179795, "8888848848884484844"},
           Case{"latency_0.25", 3.6974260325, "8884848444444444444"},
       }) {
    INFO(c.name);
    const Problem problem = read_problem(kProblems + "hawqv3_resnet18_" + c.name + ".yaml");
    REQUIRE(problem.budgets.size() == 1);
    CHECK(problem.budgets[0].limit == Approx(c.limit).epsilon(1e-12));
    const Solution solution = solve(problem);
    CHECK(solution.status == SolveStatus::optimal);
    REQUIRE(solution.choice);
    CHECK(bits(problem, *solution.choice) == c.bits);
  }
}

TEST_CASE("The latencies of HAWQ-V3's problems are those of the shipped table") {
  const Problem problem = read_problem(kProblems + "hawqv3_resnet18_latency_0.5.yaml");
  // The first and the last of 19 layers, at 4 and 8 bit (ILP.ipynb of the method's repository).
  REQUIRE(problem.groups.size() == 19);
  CHECK(problem.groups.front().options[0].costs[2] == 0.21094404);
  CHECK(problem.groups.front().options[1].costs[2] == 0.36189111);
  CHECK(problem.groups.back().options[0].costs[2] == 0.22286099);
  CHECK(problem.groups.back().options[1].costs[2] == 0.37405185);
}

TEST_CASE("The LIMPQ-like problem has the network's costs and the losses of its formula") {
  const Problem problem = read_problem(kProblems + "limpq_mobilenet_v2.yaml");
  const Network network =
      read_network(std::string(WIDTHWISE_SOURCE_DIR) + "/workloads/mobilenet_v2.yaml");
  REQUIRE(problem.groups.size() == 52);
  std::size_t i = 0;
  for (const Layer& layer : network.layers()) {
    if (!layer.compute || i == 52) continue;
    const Group& group = problem.groups[i];
    CHECK(group.name == layer.name);
    REQUIRE(group.options.size() == 25);
    const double depthwise = layer.compute->groups > 1 ? 2 : 1;
    const double index = static_cast<double>(i);
    const double s = 0.1 * (1 + 0.8 * std::sin(1.7 * index)) * depthwise;
    const double t = 0.1 * (1 + 0.8 * std::sin(2.3 * index + 1));
    for (const Option& option : group.options) {
      const double w = option.weight_bits;
      const double a = option.activation_bits;
      CHECK(option.loss ==
            Approx(2 * s / (std::exp2(w) - 1) + t / (std::exp2(a) - 1)).margin(6e-7));
      CHECK(option.costs[0] == Approx(static_cast<double>(layer.macs()) * w * a / 1e9));
    }
    ++i;
  }
  CHECK(i == 52);
}

TEST_CASE("The LIMPQ-like problem is solved with proof") {
  const Problem problem = read_problem(kProblems + "limpq_mobilenet_v2.yaml");
  const Solution solution = solve(problem);
  CHECK(solution.status == SolveStatus::optimal);
  CHECK(solution.bound == solution.objective);
  CHECK(solution.budgets[0].binding);
  CHECK(solution.budgets[1].binding);
}

TEST_CASE("All shipped problems are sound and have an answer") {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kProblems)) {
    INFO(entry.path());
    CHECK(solve(read_problem(entry.path().string())).choice);
    ++count;
  }
  CHECK(count == 10);
}

}  // namespace
}  // namespace widthwise
