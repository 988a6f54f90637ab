// A line on standard error that says how far a long run is. Silent unless standard error is a
// terminal and the run has taken a second.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace widthwise {

class Progress {
 public:
  Progress();
  ~Progress();  // takes the line away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// "[########            ] 412 of 1024: layer2.0.conv1, 3 s left".
  void show(std::size_t done, std::size_t total, const std::string& what);

  /// The line as it stands, or as much of its beginning as the terminal has room for.
  void show(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool is_due();

  bool on_terminal_;
  bool shown_ = false;
  Clock::time_point began_, next_;
};

}  // namespace widthwise
