/* What GameView.pythag in Android's ApiDemos computes. */
#include "lawow.h"

LAWOW_OFFLOAD float pythag(float x, float y) { return __builtin_sqrtf(x * x + y * y); }
