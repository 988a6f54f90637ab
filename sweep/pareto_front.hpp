// The machines that no other is better than: kept one by one, so that memory holds the front alone.
#pragma once

#include <cstdint>
#include <vector>

namespace widthwise {

struct FrontMember {
  std::uint64_t cell = 0;
  std::vector<double> objectives;  // all to be small
};

class ParetoFront {
 public:
  /// Takes a machine in, if none is at least as good in all objectives, and drops those that it is
  /// at least as good as in all. Of machines that are alike the first stays.
  void add(std::uint64_t cell, const std::vector<double>& objectives);

  /// By the first objective, then the next.
  [[nodiscard]] std::vector<FrontMember> members() const;

 private:
  std::vector<FrontMember> members_;
};

}  // namespace widthwise
