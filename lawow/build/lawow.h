/* Tags for functions that are to be called from outside, in C and C++. Read by `lawow build`.
 *
 *   LAWOW_OFFLOAD int32_t fib(int32_t n) { ... }
 *   LAWOW_OFFLOAD double mean(LAWOW_LIST(double, values)) { ... values[i] ... values_count ... }
 *   LAWOW_OFFLOAD int32_t vowels(LAWOW_STRING(text)) { ... text[i] ... text_bytes ... }
 *   LAWOW_OFFLOAD LAWOW_RETURNS_STRING greet(LAWOW_STRING(name)) { ... return lawow_return(buffer, bytes); }
 *
 * A string is UTF-8 without a final zero. A list holds integers of a fixed width, bool, float or double.
 * LAWOW_IN_OUT is a list whose contents go back to a caller that asks for them. Results are copied by the caller
 * before it calls again. Values cross by the component model's canonical ABI. */
#ifndef LAWOW_H
#define LAWOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(LAWOW_SCAN) /* `lawow build` reads the prototypes in this form */

#define LAWOW_OFFLOAD lawow_offload__
#define LAWOW_STRING(name) const char name[lawow_string__]
#define LAWOW_LIST(type, name) const type name[lawow_list__]
#define LAWOW_IN_OUT(type, name) type name[lawow_list__]
#define LAWOW_RETURNS_STRING lawow_returns_string__
#define LAWOW_RETURNS_LIST(type) lawow_returns_list_##type

#else

#if defined(__cplusplus)
#define LAWOW_LANGUAGE_ extern "C"
#else
#define LAWOW_LANGUAGE_
#endif
#define LAWOW_OFFLOAD LAWOW_LANGUAGE_ __attribute__((used, visibility("default")))
#define LAWOW_STRING(name) const char *name, size_t name##_bytes
#define LAWOW_LIST(type, name) const type *name, size_t name##_count
#define LAWOW_IN_OUT(type, name) type *name, size_t name##_count
#define LAWOW_RETURNS_STRING const lawow_area *
#define LAWOW_RETURNS_LIST(type) const lawow_area *

#endif

/* Where a string or list result lies, and its length in bytes or elements. */
typedef struct lawow_area {
  const void *data;
  size_t count;
} lawow_area;

/* Return this from a function that returns a string or a list. */
static inline const lawow_area *lawow_return(const void *data, size_t count) {
  static lawow_area area;
  area.data = data;
  area.count = count;
  return &area;
}

#endif
