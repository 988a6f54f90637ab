// PrecisionBatching's arithmetic (arXiv 2003.00822) on a CPU.
#pragma once
