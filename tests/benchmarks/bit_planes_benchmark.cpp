// Bit-planes against 8-bit inference on this processor: matrix times vector, batch 1, activations
// of 8 bits (and of 16 and 32 in the last table), one and two threads.
//
// Times of bit-planes go from a float vector to a float vector: rounding of the activations,
// putting them in the kernel's order, the product, the reconstruction. The 8-bit product of oneDNN
// (u8 x s8 -> s32, the faster of matmul and inner product) starts at bytes and ends at integers,
// and ours likewise, so that the ratio errs against bit-planes. Without oneDNN ours is what is
// compared with.
//
// Contenders take turns, some milliseconds each; the least and the median of their times. Threads
// are bound to a processor each. Nothing else should run on the machine.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <sched.h>

#include "models/base/worker_pool.hpp"
#include "train/bit_planes.hpp"

#ifdef WIDTHWISE_WITH_DNNL
#include <dnnl.hpp>
#include <omp.h>
#endif

namespace {

using namespace widthwise;
using Clock = std::chrono::steady_clock;

struct Contender {
  std::string name;
  std::function<void()> run;
  std::vector<double> milliseconds;

  [[nodiscard]] double least() const {
    return *std::min_element(milliseconds.begin(), milliseconds.end());
  }
  [[nodiscard]] double median() const {
    std::vector<double> sorted = milliseconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

void take_turns(std::vector<Contender>& contenders, int rounds) {
  constexpr std::chrono::milliseconds kTurn{8};
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) {
      // Caches and sleeping threads.
      const Clock::time_point warm = Clock::now() + kTurn / 2;
      while (Clock::now() < warm) contender.run();
      const Clock::time_point end = Clock::now() + kTurn;
      while (Clock::now() < end) {
        const Clock::time_point begin = Clock::now();
        contender.run();
        contender.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
      }
    }
  }
}

/// Binds the calling thread to the processor of that number among those that it started with.
void bind_to_processor(int number) {
  static const cpu_set_t kAllowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    return set;
  }();
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &kAllowed) || number-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

std::vector<float> gaussian(std::int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> draw;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = draw(random);
  return values;
}

#ifdef WIDTHWISE_WITH_DNNL

/// s32[1][n] = u8[1][n] s8[n][n].
class DnnlProduct {
 public:
  DnnlProduct(std::int64_t size, bool matmul) : engine_(dnnl::engine::kind::cpu, 0) {
    using dnnl::memory;
    stream_ = dnnl::stream(engine_);
    const memory::desc x({1, size}, memory::data_type::u8, memory::format_tag::ab);
    const memory::desc w({size, size}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc y({1, size}, memory::data_type::s32, memory::format_tag::ab);
    if (matmul) {
      const dnnl::matmul::primitive_desc made({x, w, y}, engine_);
      weights_ = memory(made.weights_desc(), engine_);
      product_ = dnnl::matmul(made);
    } else {
      const dnnl::inner_product_forward::primitive_desc made(
          {dnnl::prop_kind::forward_inference, x, w, y}, engine_);
      weights_ = memory(made.weights_desc(), engine_);
      product_ = dnnl::inner_product_forward(made);
    }
    x_ = memory(x, engine_);
    y_ = memory(y, engine_);
    fill(weights_);
    fill(x_);
  }

  void run() {
    product_.execute(stream_,
                     {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, y_}});
    stream_.wait();
  }

 private:
  static void fill(const dnnl::memory& memory) {
    auto* bytes = static_cast<std::uint8_t*>(memory.get_data_handle());
    std::mt19937 random(2);
    for (std::size_t i = 0; i < memory.get_desc().get_size(); ++i) {
      bytes[i] = static_cast<std::uint8_t>(random());
    }
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory x_, weights_, y_;
  dnnl::primitive product_;
};

#endif

constexpr int kPlanes = 8;
constexpr int kRounds = 12;

void print_row(const Contender& contender, double int8) {
  fmt::print("  {:<34} {:>9.4f} {:>9.4f} {:>9.2f}\n", contender.name, contender.least(),
             contender.median(), int8 / contender.least());
}

void compare(std::int64_t size, int threads) {
  const std::vector<float> weights = gaussian(size * size);
  const std::vector<float> x = gaussian(size);
  const BitPlanes planes(weights, size, size, {});
  const Int8Matrix bytes(weights, size, size);
  PlaneWorkers workers(threads);
  workers.run(bind_to_processor);
  std::vector<float> y(static_cast<std::size_t>(size));
  std::vector<std::int64_t> sums(y.size());
  std::vector<std::int32_t> sums8(y.size());

  std::vector<Contender> contenders;
#ifdef WIDTHWISE_WITH_DNNL
  omp_set_num_threads(threads);
#pragma omp parallel
  bind_to_processor(omp_get_thread_num());
  DnnlProduct matmul(size, true);
  DnnlProduct inner_product(size, false);
  contenders.push_back({"int8, oneDNN matmul", [&] { matmul.run(); }, {}});
  contenders.push_back({"int8, oneDNN inner product", [&] { inner_product.run(); }, {}});
#endif
  PlaneActivations ready;
  ready.set(x, 8);
  contenders.push_back({"int8, ours", [&] { bytes.multiply(ready, sums8, &workers); }, {}});
  const std::size_t references = contenders.size();

  const PlaneKernelList list = plane_kernels();
  std::vector<PlaneActivations> activations;
  for (int k = 0; k < list.count; ++k) activations.emplace_back(*list.kernels[k]);
  // The two fastest; the others at 4 planes only.
  for (int k = list.count - 1; k >= 0; --k) {
    for (int n = 1; n <= kPlanes; ++n) {
      if (k < list.count - 2 && n != 4) continue;
      PlaneActivations& mine = activations[static_cast<std::size_t>(k)];
      contenders.push_back({fmt::format("{}, {} planes + sign", list.kernels[k]->name, n),
                            [&, n] {
                              mine.set(x, 8);
                              multiply(planes, n, mine, sums, &workers);
                              reconstruct(planes, n, mine, sums, {}, y);
                            },
                            {}});
    }
  }
  take_turns(contenders, kRounds);

  // The goal is against oneDNN where it is there.
  const std::size_t rivals = references > 1 ? references - 1 : references;
  double int8 = contenders.front().least();
  for (std::size_t i = 0; i < rivals; ++i) int8 = std::min(int8, contenders[i].least());
  fmt::print("{0} x {0}, {1} thread{2}, activations of 8 bits\n", size, threads,
             threads == 1 ? "" : "s");
  fmt::print("  {:<34} {:>9} {:>9} {:>9}\n", "", "least ms", "median ms", "x int8");
  for (const Contender& contender : contenders) print_row(contender, int8);
  fmt::print("\n");
}

void wider_activations(std::int64_t size) {
  const std::vector<float> weights = gaussian(size * size);
  const std::vector<float> x = gaussian(size);
  const BitPlanes planes(weights, size, size, {});
  std::vector<float> y(static_cast<std::size_t>(size));
  std::vector<std::int64_t> sums(y.size());
  const PlaneKernelList list = plane_kernels();
  std::vector<PlaneActivations> activations;
  for (int k = 0; k < list.count; ++k) activations.emplace_back(*list.kernels[k]);
  std::vector<Contender> contenders;
  for (int k = std::max(0, list.count - 2); k < list.count; ++k) {
    PlaneActivations& mine = activations[static_cast<std::size_t>(k)];
    for (const int bits : {8, 16, 32}) {
      for (const int n : {1, 4, 8}) {
        contenders.push_back({fmt::format("{}, {} planes, a{}", list.kernels[k]->name, n, bits),
                              [&, bits, n] {
                                mine.set(x, bits);
                                multiply(planes, n, mine, sums);
                                reconstruct(planes, n, mine, sums, {}, y);
                              },
                              {}});
      }
    }
  }
  take_turns(contenders, kRounds / 2);
  fmt::print("{0} x {0}, 1 thread, wider activations\n", size);
  fmt::print("  {:<34} {:>9} {:>9}\n", "", "least ms", "median ms");
  for (const Contender& contender : contenders) {
    fmt::print("  {:<34} {:>9.4f} {:>9.4f}\n", contender.name, contender.least(),
               contender.median());
  }
}

}  // namespace

int main() {
  const std::size_t processors = available_processors();  // before the thread is bound to one
  for (const std::int64_t size : {4096, 1024}) {
    for (const int threads : {1, 2}) {
      if (static_cast<std::size_t>(threads) > processors) continue;
      compare(size, threads);
    }
  }
  wider_activations(4096);
  return 0;
}
