/* What a module that was compiled for the device's processor offers to liblawownative.so: one table, exported as
 * `lawow_native_module`. `lawow pack --local native` generates it, with a function around each tagged function that
 * takes its arguments from values of one shape. */
#ifndef LAWOW_NATIVE_H
#define LAWOW_NATIVE_H
#include <stddef.h>
#include <stdint.h>

#define LAWOW_NATIVE_VERSION 1
#define LAWOW_NATIVE_TABLE "lawow_native_module"

/* An argument or a result: a number's bits, upper half 0 for 32 bits; or how many bytes or elements lie at `data`. */
typedef struct {
  uint64_t bits;
  void *data;
} lawow_value;

/* A tagged function: its export's name, its signature as dev.lawow.Target has it, and how it is called. A result that
 * lies in memory is valid until the next call; arguments stay the caller's. */
typedef struct {
  const char *name;
  const char *signature;
  void (*call)(const lawow_value *arguments, lawow_value *result);
} lawow_function;

/* `digest` is the SHA-256 of the WebAssembly module of the same sources, in hexadecimal digits. */
typedef struct {
  uint32_t version;
  uint32_t count;
  const char *digest;
  const lawow_function *functions;
} lawow_module;

static inline float lawow_f32(uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float value;
  __builtin_memcpy(&value, &low, sizeof value);
  return value;
}

static inline double lawow_f64(uint64_t bits) {
  double value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint64_t lawow_f32_bits(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline uint64_t lawow_f64_bits(double value) {
  uint64_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
#endif
