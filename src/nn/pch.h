// The one precompiled header of the project: of nn, models and their tests (cmake/Rooms.cmake).
// Half a gigabyte a preset, and a file behind it compiles in a third of the time.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>
