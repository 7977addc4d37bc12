/* What two methods of BitmapPixels$SampleView in Android's ApiDemos compute, written from their bytecode. */
#include "lawow.h"

enum { RED, GREEN, BLUE, ALPHA, CHANNELS };

static int channel(int color, int which) { return color >> 8 * which & 255; }

static int mul255(int c, int a) {
  int product = c * a + 128;
  return (product + (product >> 8)) >> 8;
}

LAWOW_OFFLOAD int premultiplyColor(int c) { /* from Android's ARGB to ABGR */
  int a = channel(c, ALPHA);
  int r = mul255(channel(c, BLUE), a), g = mul255(channel(c, GREEN), a), b = mul255(channel(c, RED), a);
  return (int)((uint32_t)a << 24) | b << 16 | g << 8 | r;
}

LAWOW_OFFLOAD void makeRamp(int from, int to, int n, LAWOW_IN_OUT(int32_t, ramp8888),
                            LAWOW_IN_OUT(int16_t, ramp565), LAWOW_IN_OUT(int16_t, ramp4444)) {
  int value[CHANNELS], step[CHANNELS];
  for (int which = 0; which < CHANNELS; which++) {
    value[which] = channel(from, which) << 23;
    step[which] = ((channel(to, which) << 23) - value[which]) / (n - 1);
  }
  for (size_t i = 0; i < ramp8888_count && i < ramp565_count && i < ramp4444_count && i < (size_t)n; i++) {
    int r = value[RED], g = value[GREEN], b = value[BLUE], a = value[ALPHA];
    ramp8888[i] = (int32_t)((uint32_t)(a >> 23) << 24 | (uint32_t)(b >> 23) << 16 | g >> 23 << 8 | r >> 23);
    ramp565[i] = (int16_t)(r >> 26 << 11 | g >> 25 << 5 | b >> 26);
    ramp4444[i] = (int16_t)(r >> 27 << 12 | g >> 27 << 8 | b >> 27 << 4 | a >> 27);
    for (int which = 0; which < CHANNELS; which++) value[which] += step[which];
  }
}
