#include "sim/chrome_trace.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace widthwise::sim {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

void ChromeTrace::add(Track track, Ticks from, Ticks to, const char* what, std::int64_t amount) {
  // Slices of a track do not overlap: a transfer shows from when the one before it has arrived.
  Ticks& last_end = track_ends_[static_cast<std::size_t>(track)];
  const Ticks begin = std::max(from, last_end);
  if (to > begin) slices_.push_back({track, begin, to, layer_names_.size() - 1, what, amount});
  last_end = std::max(last_end, to);
}

void ChromeTrace::layer_begins(std::size_t, const LayerPlan& plan, std::int64_t, Ticks at) {
  layer_names_.push_back(plan.setting.layer->name);
  layer_began_ = at;
}

void ChromeTrace::layer_ends(std::size_t, const LayerPlan&, Ticks at) {
  add(Track::layers, layer_began_, at, nullptr, (at - layer_began_) / kTicksPerCycle);
}

void ChromeTrace::array_waits(Wait cause, Ticks from, Ticks to) {
  const char* what = nullptr;
  switch (cause) {
    case Wait::input:
      what = "waits for input";
      break;
    case Wait::weight:
      what = "waits for weights";
      break;
    case Wait::output:
      what = "waits for room in the output buffer";
      break;
    case Wait::preload:
      what = "preloads weights";
      break;
  }
  add(Track::waits, from, to, what, (to - from) / kTicksPerCycle);
}

void ChromeTrace::array_runs(const StepCost& cost, std::int64_t start_up, std::int64_t emptying,
                             Ticks from, Ticks to) {
  // Vector layers pass the array in no time.
  add(Track::array, from, to, "step", cost.cycles.total() + start_up + emptying);
}

void ChromeTrace::transfer(Stream stream, Home, std::int64_t bytes, std::int64_t, std::int64_t,
                           Ticks from, Ticks to) {
  switch (stream) {
    case Stream::input:
      add(Track::input, from, to, "load input", bytes);
      break;
    case Stream::weight:
      add(Track::weight, from, to, "load weights", bytes);
      break;
    case Stream::sums_in:
      add(Track::sums, from, to, "load partial sums", bytes);
      break;
    case Stream::sums_out:
      add(Track::sums, from, to, "store partial sums", bytes);
      break;
    case Stream::output:
      add(Track::output, from, to, "store output", bytes);
      break;
  }
}

void ChromeTrace::post_processes(std::int64_t outputs, Ticks from, Ticks to) {
  add(Track::post, from, to, "post-process", outputs);
}

std::string ChromeTrace::text(const std::string& title) const {
  static constexpr std::array<std::pair<Track, const char*>, 8> kTracks{
      {{Track::layers, "layer"},
       {Track::array, "array"},
       {Track::waits, "array waits"},
       {Track::post, "post-processing"},
       {Track::input, "DMA: input"},
       {Track::weight, "DMA: weights"},
       {Track::sums, "DMA: partial sums"},
       {Track::output, "DMA: output"}}};
  const auto unit_of = [](Track track) {
    switch (track) {
      case Track::layers:
      case Track::array:
      case Track::waits:
        return "cycles";
      case Track::post:
        return "outputs";
      default:
        return "bytes";
    }
  };
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  fmt::format_to(
      to, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"title\":\"{}\"}},\"traceEvents\":[\n",
      escaped(title));
  fmt::format_to(to, R"({{"ph":"M","pid":1,"name":"process_name","args":{{"name":"{}"}}}})",
                 escaped(title));
  for (const auto& [track, name] : kTracks) {
    fmt::format_to(to,
                   ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{0},\"name\":\"thread_name\",\"args\":{{"
                   "\"name\":\"{1}\"}}}}"
                   ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{0},\"name\":\"thread_sort_index\","
                   "\"args\":{{\"sort_index\":{0}}}}}",
                   static_cast<int>(track), name);
  }
  const double microseconds_per_tick = 1e6 / clock_.count() / static_cast<double>(kTicksPerCycle);
  for (const Slice& slice : slices_) {
    const std::string& layer = layer_names_[slice.layer];
    fmt::format_to(
        to,
        ",\n{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{:.6f},\"dur\":{:.6f},\"name\":\"{}\","
        "\"args\":{{\"layer\":\"{}\",\"{}\":{}}}}}",
        static_cast<int>(slice.track), static_cast<double>(slice.from) * microseconds_per_tick,
        static_cast<double>(slice.to - slice.from) * microseconds_per_tick,
        slice.what == nullptr ? escaped(layer) : slice.what, escaped(layer), unit_of(slice.track),
        slice.amount);
  }
  fmt::format_to(to, "\n]}}\n");
  return fmt::to_string(out);
}

}  // namespace widthwise::sim
