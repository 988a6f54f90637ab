#include "sweep/pareto_front.hpp"

#include <algorithm>
#include <tuple>

namespace widthwise {

namespace {

bool is_no_worse(const std::vector<double>& a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
  }
  return true;
}

}  // namespace

void ParetoFront::add(std::uint64_t cell, const std::vector<double>& objectives) {
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (!is_no_worse(members_[i].objectives, objectives)) continue;
    // What beat one machine often beats the next.
    std::rotate(members_.begin(), members_.begin() + static_cast<std::ptrdiff_t>(i),
                members_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    return;
  }
  std::erase_if(members_, [&](const FrontMember& member) {
    return is_no_worse(objectives, member.objectives);
  });
  members_.push_back({cell, objectives});
}

std::vector<FrontMember> ParetoFront::members() const {
  std::vector<FrontMember> sorted = members_;
  std::sort(sorted.begin(), sorted.end(), [](const FrontMember& a, const FrontMember& b) {
    return std::tie(a.objectives, a.cell) < std::tie(b.objectives, b.cell);
  });
  return sorted;
}

}  // namespace widthwise
