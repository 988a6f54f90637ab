#include "train/dataset.hpp"
