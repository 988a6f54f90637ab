#include "cli/progress.hpp"

#include <iostream>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/text_layout.hpp"

namespace widthwise {

namespace {

constexpr std::chrono::milliseconds kSilence{1000};
constexpr std::chrono::milliseconds kInterval{100};
constexpr std::size_t kNameColumns = 32;
constexpr std::size_t kBarColumns = 20;
constexpr std::size_t kLineColumns = 80;  // of a terminal that does not say
constexpr std::string_view kClearLine = "\r\x1b[K";

/// Columns that a line may take without being broken.
std::size_t terminal_columns() {
  struct winsize size {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return (known ? size.ws_col : kLineColumns) - 1;
}

}  // namespace

Progress::Progress()
    : on_terminal_(::isatty(STDERR_FILENO) == 1), began_(Clock::now()), next_(began_ + kSilence) {}

Progress::~Progress() {
  if (shown_) {
    std::cerr << kClearLine << std::flush;
  }
}

bool Progress::is_due() {
  if (!on_terminal_ || Clock::now() < next_) {
    return false;
  }
  next_ = Clock::now() + kInterval;
  shown_ = true;
  return true;
}

void Progress::show(const std::string& line) {
  if (is_due()) {
    std::cerr << kClearLine << beginning(printable(line), terminal_columns()) << std::flush;
  }
}

void Progress::show(std::size_t done, std::size_t total, const std::string& what) {
  if (!is_due()) {
    return;
  }
  const std::size_t filled = total > 0 ? kBarColumns * done / total : 0;
  const std::chrono::duration<double> taken = Clock::now() - began_;
  std::string left;
  if (done > 0 && done < total) {
    const double rate = taken.count() / static_cast<double>(done);
    left = fmt::format(", {:.0f} s left", rate * static_cast<double>(total - done));
  }
  std::cerr << kClearLine
            << fmt::format("[{:<{}}] {} of {}: {}{}", std::string(filled, '#'), kBarColumns, done,
                           total, shortened(printable(what), kNameColumns), left)
            << std::flush;
}

}  // namespace widthwise
