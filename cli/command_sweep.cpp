#include "cli/command_sweep.hpp"

#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/command_line.hpp"
#include "cli/exit_code.hpp"
#include "cli/folder_lock.hpp"
#include "cli/output_files.hpp"
#include "cli/progress.hpp"
#include "cli/read_request.hpp"
#include "cli/space_file.hpp"
#include "cli/sweep_report.hpp"
#include "cli/text_layout.hpp"
#include "models/base/content_key.hpp"
#include "models/base/units.hpp"
#include "models/cost/cost_cache.hpp"
#include "sim/simulated_model.hpp"

namespace widthwise {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStore = "points.sqlite";

/// Simulations keep their costs on disk, where the next sweep finds them; the closed form is as
/// fast as a disk. `folder` is that of the cache; empty: none. Every process that evaluates opens
/// it for itself: a connection to SQLite does not outlive a fork.
MakeCostModel model_maker(const std::string& folder) {
  struct Own {
    std::unique_ptr<CostCache> cache;
    pid_t process = 0;
  };
  return [folder, own = std::make_shared<Own>()](const Network& network, const Machine& machine,
                                                 Fidelity fidelity,
                                                 CostStore* memo) -> std::unique_ptr<CostModel> {
    MachineModelOptions options;
    if (fidelity == Fidelity::analytic) {
      options.jobs = 0;
      options.cache = memo;
      return analytic_cost_model(network, machine.accelerator, *machine.energy, options);
    }
    options.jobs = 1;
    options.cache = memo;
    if (!folder.empty()) {
      if (own->process != ::getpid()) {
        static_cast<void>(own->cache.release());  // of the process that this one was forked from
        own->cache = std::make_unique<CostCache>(folder);
        own->process = ::getpid();
      }
      options.cache = own->cache.get();
    }
    return machine_cost_model(network, machine.accelerator, *machine.energy, fidelity, options);
  };
}

Assignment assignment_of(const Given& given) { return read_assignment_of(given); }

std::chrono::milliseconds read_time_limit(const std::optional<Given>& given) {
  constexpr std::int64_t kMost = 1'000'000;
  constexpr std::int64_t kMilliseconds = 1000;
  return given ? std::chrono::milliseconds(kMilliseconds * read_integer_in(*given, 1, kMost))
               : LocalOptions{}.time_limit;
}

void remove_store(const fs::path& file) {
  for (const char* end : {"", "-wal", "-shm"}) {
    std::error_code failed;
    fs::remove(file.string() + end, failed);
    if (failed) {
      throw InputError({file.string() + end}, "", "cannot be removed: " + failed.message());
    }
  }
}

/// Gets the store ready; throws InputError if what is in the folder is not for this sweep.
std::unique_ptr<PointStore> open_store(const SweepCommand& command, const Evaluator& evaluator) {
  const Given& folder = *command.folder;
  const fs::path file = fs::path(folder.text) / kStore;
  if (command.fresh) {
    remove_store(file);
  }
  auto store = std::make_unique<PointStore>(file.string(), folder, evaluator.metrics());
  const std::string identity = to_hex(content_key(evaluator.identity()));
  const std::string before = store->identity();
  if (before.empty()) {
    store->set_identity(identity);
  } else if (before != identity) {
    refuse(folder, fmt::format("'{}' holds another sweep; give another folder, or --fresh to "
                               "begin again",
                               folder.text));
  } else if (!command.resume && store->count() > 0) {
    refuse(folder, fmt::format("'{}' holds {} of this sweep; --resume goes on with it, --fresh "
                               "begins again",
                               folder.text, counted(store->count(), "machine")));
  }
  return store;
}

/// Removes what a sweep that was killed while it wrote its files left beside them, and fronts that
/// there are no more.
void remove_leftovers(const fs::path& folder, const std::optional<Given>& report) {
  std::error_code ignored;
  std::string page = report ? fs::path(report->text).filename().string() : "";
  if (report &&
      !fs::equivalent(fs::absolute(report->text, ignored).parent_path(), folder, ignored)) {
    page.clear();
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool is_front = name.starts_with("front-") && name.ends_with(".csv");
    const bool is_staged = (name.starts_with(".points.csv.") && name.ends_with(".csv")) ||
                           (name.starts_with(".front-") && name.ends_with(".csv")) ||
                           (name.starts_with(".sweep.json.") && name.ends_with(".json")) ||
                           (!page.empty() && name.starts_with('.' + page + '.'));
    if (is_front || is_staged) {
      fs::remove(entry.path(), ignored);
    }
  }
}

void write_files(const SweepCommand& command, const Evaluator& evaluator, const PointStore& store,
                 const SweepSummary& summary) {
  Diagnostics problems;
  OutputFiles files(problems);
  const fs::path folder = command.folder->text;
  const auto stage = [&](const std::string& name) -> std::optional<StagedFile>& {
    return files.stage(Given{(folder / name).string(), command.folder->place, ""});
  };
  remove_leftovers(folder, command.report);
  std::error_code failed;
  const fs::path front_folder = folder / "front";
  fs::remove_all(front_folder, failed);
  fs::create_directories(front_folder, failed);
  if (failed) {
    refuse(*command.folder,
           fmt::format("'{}' cannot be made: {}", front_folder.string(), failed.message()));
  }
  auto& points = stage("points.csv");
  auto& json = stage("sweep.json");
  std::vector<std::optional<StagedFile>*> fronts;
  for (std::size_t f = 0; f < summary.fronts.size(); ++f) {
    fronts.push_back(&stage(fmt::format("front-{}.csv", f + 1)));
  }
  std::vector<std::pair<std::optional<StagedFile>*, std::string>> experiments;
  for (NamedText& experiment : front_experiments(evaluator, summary)) {
    experiments.emplace_back(&stage("front/" + experiment.name), std::move(experiment.text));
  }
  auto& report = files.stage(command.report);
  problems.throw_if_any();
  write_points_csv(evaluator, store, summary, *points);
  json->write(sweep_json(evaluator, summary));
  for (std::size_t f = 0; f < fronts.size(); ++f) {
    (*fronts[f])->write(front_csv(evaluator, summary, f));
  }
  for (const auto& [file, text] : experiments) {
    (*file)->write(text);
  }
  if (report) {
    report->write(sweep_page(evaluator, store, summary));
  }
  files.commit();
}

/// All that a sweep works on, read.
class Prepared {
 public:
  explicit Prepared(const SweepCommand& command) {
    Diagnostics problems;
    options_.jobs = collecting(problems, [&] { return read_jobs(command.jobs); }).value_or(1);
    options_.time_limit = collecting(problems, [&] {
                            return read_time_limit(command.time_limit);
                          }).value_or(options_.time_limit);
    if (command.resume && command.fresh) {
      problems.error({"--fresh"}, "", "contradicts --resume");
    }
    space_ =
        collecting(problems, [&] { return read_space(find_file(Shipped::spaces, command.space)); });
    problems.throw_if_any();
    design_.emplace(*space_);
    evaluator_.emplace(*design_, model_maker(command.no_cache ? "" : CostCache::default_folder()),
                       assignment_of);
  }

  [[nodiscard]] const Evaluator& evaluator() const { return *evaluator_; }
  [[nodiscard]] const LocalOptions& options() const { return options_; }

 private:
  LocalOptions options_;
  std::optional<Space> space_;
  std::optional<DesignSpace> design_;
  std::optional<Evaluator> evaluator_;
};

}  // namespace

void add_sweep_options(CLI::App& command, SweepWords& words) {
  command.add_option("space", words.space, "Design space: file or shipped name")->required();
  command.add_option("-o,--output", words.folder, "Folder of the results")->required();
  command.add_option("--jobs", words.jobs, "Worker processes; by default as many as processors");
  command.add_option("--timeout", words.time_limit, "Seconds that one machine may take (600)");
  command.add_flag("--resume", words.resume, "Go on with a sweep that was interrupted");
  command.add_flag("--fresh", words.fresh, "Begin again, whatever is in the folder");
  command.add_flag("--no-cache", words.no_cache, "Simulate everything, keep no costs");
  command.add_option("--report", words.report, "Write a page (HTML)");
  command.add_flag("-q,--quiet", words.quiet, "Print nothing");
}

SweepCommand sweep_command_of(const CLI::App& command, const SweepWords& words) {
  SweepCommand sweep;
  sweep.space = Given{words.space, SourcePlace{"sweep"}, ""};
  sweep.folder = given(command, "--output", words.folder);
  sweep.jobs = given(command, "--jobs", words.jobs);
  sweep.time_limit = given(command, "--timeout", words.time_limit);
  sweep.report = given(command, "--report", words.report);
  sweep.resume = words.resume;
  sweep.fresh = words.fresh;
  sweep.no_cache = words.no_cache;
  sweep.quiet = words.quiet;
  return sweep;
}

void check_space(const std::string& path) {
  const Space space = read_space(path);
  const DesignSpace design(space);
  const Evaluator evaluator(design, model_maker(""), assignment_of);
}

int sweep_command(const SweepCommand& command, const MakeRunCells& make_run_cells) {
  const Prepared prepared(command);
  const Evaluator& evaluator = prepared.evaluator();
  const FolderLock lock(*command.folder, "sweeps");
  if (command.report) {
    // Whether it can be written is said now, not when all is done.
    const StagedFile tried(command.report->text, command.report->place, command.report->key);
  }
  const auto store = open_store(command, evaluator);
  return guarded("finished machines are kept; --resume goes on with them", [&]() -> int {
    {
      Progress progress;
      run_sweep(evaluator, *store, make_run_cells(evaluator, prepared.options()),
                [&](const SweepProgress& at) {
                  progress.show(static_cast<std::size_t>(at.done),
                                static_cast<std::size_t>(at.total), evaluator.space().space().name);
                });
    }
    const SweepSummary summary = summarize(evaluator, *store);
    write_files(command, evaluator, *store, summary);
    if (!command.quiet) {
      std::cout << sweep_text(evaluator, summary) << std::flush;
    }
    return summary.done > 0 ? kDone : kInfeasible;
  });
}

void serve_sweep(const SweepCommand& command,
                 const std::function<void(const Evaluator&, const LocalOptions&)>& serve) {
  const Prepared prepared(command);
  serve(prepared.evaluator(), prepared.options());
}

}  // namespace widthwise
