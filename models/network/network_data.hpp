// What a Network shares between its copies. Internal to models/network.
#pragma once

#include <string>
#include <vector>

#include "models/network/network.hpp"

namespace widthwise {

struct Network::Data {
  std::string name;
  std::vector<Layer> layers;
  std::vector<Tensor> tensors;
  std::vector<std::string> ignored;
};

}  // namespace widthwise
