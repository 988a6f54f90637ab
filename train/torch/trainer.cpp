#include "train/torch/trainer.hpp"
