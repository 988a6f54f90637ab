#include "cli/command_diff.hpp"

#include <iostream>
#include <utility>

#include "cli/difference_report.hpp"
#include "cli/exit_code.hpp"
#include "cli/output_files.hpp"
#include "cli/read_request.hpp"
#include "cli/report_reader.hpp"
#include "models/base/error.hpp"

namespace widthwise {

int diff_command(const DiffCommand& command) {
  Diagnostics problems;
  auto a = collecting(problems, [&] { return read_report(command.a); });
  // Mistakes of a file that is given twice are told once.
  auto b =
      command.b == command.a ? a : collecting(problems, [&] { return read_report(command.b); });
  OutputFiles files(problems);
  auto& json = files.stage(command.json);
  auto& report = files.stage(command.report);
  problems.throw_if_any();

  const ComparedRuns runs{command.a, command.b, std::move(*a), std::move(*b)};
  const RunDifference difference = run_difference(runs.a, runs.b);
  if (!command.quiet) {
    std::cout << difference_text(runs, difference) << std::flush;
  }
  if (json) {
    json->write(difference_json(runs, difference));
  }
  if (report) {
    report->write(difference_page(runs, difference));
  }
  files.commit();
  return kDone;
}

}  // namespace widthwise
