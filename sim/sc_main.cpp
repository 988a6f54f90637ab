// libsystemc refers to sc_main(); programs here start the kernel themselves and never come by it.
#include <systemc>

int sc_main(int /*count*/, char* /*arguments*/[]) { return 0; }
