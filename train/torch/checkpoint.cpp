#include "train/torch/checkpoint.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <torch/serialize.h>
#include <unistd.h>

#include "models/base/error.hpp"

namespace widthwise {

namespace {

constexpr std::int64_t kFormat = 1;

torch::Tensor figures(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64);
}

std::vector<double> figures_of(const torch::Tensor& tensor) {
  const auto* data = tensor.data_ptr<double>();
  return {data, data + tensor.numel()};
}

/// One row an epoch; costs behind the fixed figures.
std::vector<double> flat(const std::vector<EpochRecord>& history) {
  std::vector<double> values;
  for (const EpochRecord& record : history) {
    values.insert(values.end(),
                  {static_cast<double>(record.epoch), record.train_loss, record.train_accuracy,
                   record.test_accuracy, record.mean_weight_bits, record.mean_activation_bits,
                   record.learning_rate, record.seconds, record.frozen ? 1.0 : 0.0,
                   static_cast<double>(record.costs.size())});
    values.insert(values.end(), record.costs.begin(), record.costs.end());
  }
  return values;
}

std::vector<EpochRecord> history_of(const std::vector<double>& values) {
  std::vector<EpochRecord> history;
  for (std::size_t i = 0; i + 10 <= values.size();) {
    EpochRecord record;
    record.epoch = static_cast<std::int64_t>(values[i]);
    record.train_loss = values[i + 1];
    record.train_accuracy = values[i + 2];
    record.test_accuracy = values[i + 3];
    record.mean_weight_bits = values[i + 4];
    record.mean_activation_bits = values[i + 5];
    record.learning_rate = values[i + 6];
    record.seconds = values[i + 7];
    record.frozen = values[i + 8] != 0;
    const auto costs = static_cast<std::size_t>(values[i + 9]);
    i += 10;
    for (std::size_t c = 0; c < costs && i < values.size(); ++c)
      record.costs.push_back(values[i++]);
    history.push_back(std::move(record));
  }
  return history;
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw InputError({path}, "", "expected a checkpoint of this training, got " + why);
}

/// So that a crash of the machine leaves the old file or the new one.
void flush_to_disk(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool done = file >= 0 && ::fsync(file) == 0;
  const int error = errno;
  if (file >= 0) ::close(file);
  if (!done) throw InputError({path}, "", std::string("cannot be written: ") + strerror(error));
}

}  // namespace

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                     const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                     const torch::optim::Optimizer& optimizer) {
  torch::serialize::OutputArchive archive;
  archive.write("format", torch::tensor(kFormat));
  archive.write("key", torch::IValue(checkpoint.key));
  archive.write("progress", figures({static_cast<double>(checkpoint.step), checkpoint.loss_sum,
                                     checkpoint.right, checkpoint.seen, checkpoint.seconds,
                                     checkpoint.epoch_seconds}));
  archive.write("method", figures(checkpoint.method));
  archive.write("history", figures(flat(checkpoint.history)));
  torch::serialize::OutputArchive weights;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    weights.write(std::to_string(i), tensors[i].second.detach());
  }
  archive.write("tensors", weights);
  torch::serialize::OutputArchive momenta;
  optimizer.save(momenta);
  archive.write("optimizer", momenta);

  const std::string temporary = path + ".new";
  try {
    archive.save_to(temporary);
  } catch (const c10::Error& error) {
    std::remove(temporary.c_str());
    throw InputError({path}, "",
                     std::string("cannot be written: ") + error.what_without_backtrace());
  }
  flush_to_disk(temporary);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    throw InputError({path}, "", std::string("cannot be written: ") + strerror(errno));
  }
}

Checkpoint load_checkpoint(const std::string& path, const std::string& key,
                           const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                           torch::optim::Optimizer& optimizer) {
  Checkpoint checkpoint;
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path);
    torch::Tensor format;
    archive.read("format", format);
    if (format.item<std::int64_t>() != kFormat) refuse(path, "one of another version");
    torch::IValue name;
    archive.read("key", name);
    if (name.toStringRef() != key) {
      refuse(path, "one of other settings, another network or another machine");
    }
    checkpoint.key = key;
    torch::Tensor progress;
    torch::Tensor method;
    torch::Tensor history;
    archive.read("progress", progress);
    archive.read("method", method);
    archive.read("history", history);
    const auto values = figures_of(progress);
    if (values.size() != 6) refuse(path, "one of another version");
    checkpoint.step = static_cast<std::size_t>(values[0]);
    checkpoint.loss_sum = values[1];
    checkpoint.right = values[2];
    checkpoint.seen = values[3];
    checkpoint.seconds = values[4];
    checkpoint.epoch_seconds = values[5];
    checkpoint.method = figures_of(method);
    checkpoint.history = history_of(figures_of(history));
    torch::serialize::InputArchive weights;
    archive.read("tensors", weights);
    const torch::NoGradGuard no_gradient;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      torch::Tensor tensor;
      weights.read(std::to_string(i), tensor);
      if (tensor.sizes() != tensors[i].second.sizes()) {
        refuse(path, "other sizes of " + tensors[i].first);
      }
      torch::Tensor target = tensors[i].second;
      target.copy_(tensor);
    }
    torch::serialize::InputArchive momenta;
    archive.read("optimizer", momenta);
    optimizer.load(momenta);
  } catch (const c10::Error& error) {
    std::string what = error.what_without_backtrace();
    refuse(path, "what can not be read: " + what.substr(0, what.find('\n')));
  }
  return checkpoint;
}

}  // namespace widthwise
