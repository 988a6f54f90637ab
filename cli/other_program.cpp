#include "cli/other_program.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "models/base/error.hpp"

namespace widthwise {

void become_program(const std::string& name, const std::string& without, int argc, char** argv) {
  namespace fs = std::filesystem;
  const std::string command = fmt::format("widthwise {}", argv[1]);
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  const std::string program = (self.parent_path() / name).string();
  if (failed || !fs::exists(program, failed)) {
    throw InputError(
        {command}, "",
        fmt::format("this widthwise was built without {}: there is no '{}'", without, program));
  }
  std::vector<char*> words{argv[0]};
  words.insert(words.end(), argv + 2, argv + argc);
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  throw InputError({command}, "",
                   fmt::format("cannot start '{}': {}", program, std::strerror(errno)));
}

bool is_rank_of_job() {
  // Open MPI's mpirun; PMIx, e.g. srun --mpi=pmix; PMI-1 and PMI-2, e.g. MPICH's mpiexec.
  constexpr std::array kNames{"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [](const char* name) { return std::getenv(name) != nullptr; });
}

}  // namespace widthwise
