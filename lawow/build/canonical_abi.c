/* The allocator through which a caller places strings and lists in the memory of a module: part of every module
 * that takes or returns them. Component model, CanonicalABI.md, "realloc". */

#include <stddef.h>
#include <stdlib.h>

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_bytes, size_t alignment,
                                                                size_t new_bytes) {
  (void)old_bytes;
  if (new_bytes == 0) return (void *)alignment; /* an aligned address that nobody reads */
  void *memory = realloc(old, new_bytes);
  if (memory == NULL) __builtin_trap();
  return memory;
}
