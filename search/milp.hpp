// The problem as a mixed-integer linear program, given to Cbc.
//
//   x[g][o] in {0, 1},  sum_o x[g][o] = 1                              options
//   z[t][s] in {0, 1},  sum_s z[t][s] = 1                              stored widths
//   sum_{s' >= s} z[t][s'] >= sum_{o: activation >= s} x[r][o]         for every reader r of t
//   z[t][s] <= sum over readers r, o: activation = s of x[r][o]        for s above the floor
//   y[l][o,s1,s2,s3] >= 0 with marginals x[g][o], z[t1][s1], ...       linked costs
//
// The two rows on z make it the maximum exactly, so that no cost has to grow with stored widths.
//
// It serves as the fallback where the dynamic program over stored widths would be too large, as an
// independent check in tests, and as what the benchmark compares with. A model is built afresh for
// every solve. Cbc's word is not taken for anything: the choice is evaluated on the problem, and
// its bound is marked as Cbc's.
#pragma once

#include <optional>

#include "search/reduced_problem.hpp"

namespace widthwise::search {

struct MilpResult {
  std::optional<Choice> choice;
  bool infeasible = false;  // says Cbc
  bool finished = false;    // neither time nor trouble ended it
  double bound = 0;         // says Cbc; of row 0, as in the reduced problem
};

MilpResult solve_by_cbc(const Problem& problem, const ReducedProblem& reduced, double time_limit_s,
                        double gap);

}  // namespace widthwise::search
