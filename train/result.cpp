#include "train/result.hpp"
