#include "cli/progress.hpp"

#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/text_layout.hpp"

namespace widthwise {

namespace {

constexpr std::chrono::milliseconds kSilence{1000};
constexpr std::chrono::milliseconds kInterval{100};
constexpr std::size_t kNameColumns = 40;
constexpr std::string_view kClearLine = "\r\x1b[K";

}  // namespace

Progress::Progress() : on_terminal_(::isatty(STDERR_FILENO) == 1), next_(Clock::now() + kSilence) {}

Progress::~Progress() {
  if (shown_) {
    std::cerr << kClearLine << std::flush;
  }
}

void Progress::show(std::size_t done, std::size_t total, const std::string& what) {
  if (!on_terminal_ || Clock::now() < next_) {
    return;
  }
  next_ = Clock::now() + kInterval;
  shown_ = true;
  std::cerr << kClearLine
            << fmt::format("layer {} of {}: {}", done, total,
                           shortened(printable(what), kNameColumns))
            << std::flush;
}

}  // namespace widthwise
