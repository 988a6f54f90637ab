#include "train/settings.hpp"
