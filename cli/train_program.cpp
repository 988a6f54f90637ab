#include "cli/train_program.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "models/base/error.hpp"

namespace widthwise {

void become_train_program(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  const std::string program = (self.parent_path() / "widthwise-train").string();
  if (failed || !fs::exists(program, failed)) {
    throw InputError({"widthwise train"}, "",
                     fmt::format("this widthwise was built without training "
                                 "(WIDTHWISE_WITH_TORCH=OFF): there is no '{}'",
                                 program));
  }
  std::vector<char*> words{argv[0]};
  words.insert(words.end(), argv + 2, argv + argc);
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  throw InputError({"widthwise train"}, "",
                   fmt::format("cannot start '{}': {}", program, std::strerror(errno)));
}

}  // namespace widthwise
