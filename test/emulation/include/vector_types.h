#pragma once
#include "emulation/vector_types.hpp"
