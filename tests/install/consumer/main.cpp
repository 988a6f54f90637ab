#include "models/base/error.hpp"

int main() { return 0; }
