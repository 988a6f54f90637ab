// What a sweep found: counted and summed up from its store, and written for people and for
// machines. All of it follows from the stored results alone, by cell, so that a sweep that was
// interrupted ends with the same bytes as one that was not.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/output_files.hpp"
#include "sweep/evaluator.hpp"
#include "sweep/pareto_front.hpp"
#include "sweep/point_store.hpp"

namespace widthwise {

struct SweepSummary {
  std::uint64_t done = 0, infeasible = 0, excluded = 0, failed = 0;
  std::map<std::string, std::uint64_t> reasons;       // the most frequent ones
  std::vector<std::vector<FrontMember>> fronts;       // as the space's
  std::map<std::uint64_t, MachineResult> on_a_front;  // by cell

  [[nodiscard]] std::uint64_t total() const { return done + infeasible + excluded + failed; }
};

/// Reads the store once.
SweepSummary summarize(const Evaluator& evaluator, const PointStore& store);

/// For the terminal.
std::string sweep_text(const Evaluator& evaluator, const SweepSummary& summary);

/// "sweep/1": see docs/file_formats.md.
std::string sweep_json(const Evaluator& evaluator, const SweepSummary& summary);

/// All results, a row each, into the file; one at a time in memory.
void write_points_csv(const Evaluator& evaluator, const PointStore& store,
                      const SweepSummary& summary, const StagedFile& file);

/// The machines of one front.
std::string front_csv(const Evaluator& evaluator, const SweepSummary& summary, std::size_t front);

/// A file's name and content.
struct NamedText {
  std::string name, text;
};

/// For every machine on a front an experiment that `widthwise run` reads, and the widths that were
/// found for it: "12-resnet18.yaml", "12-resnet18.bits.yaml".
std::vector<NamedText> front_experiments(const Evaluator& evaluator, const SweepSummary& summary);

/// The file's text. `most_points` of those that are on no front are drawn, evenly by cell.
std::string sweep_page(const Evaluator& evaluator, const PointStore& store,
                       const SweepSummary& summary, std::size_t most_points = 3000);

}  // namespace widthwise
