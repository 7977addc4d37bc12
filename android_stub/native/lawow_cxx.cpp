// What C++ that only computes needs of a runtime library, where there is none: memory, and an end. Without exceptions
// there is nothing to throw: no memory, a wrong index or length and a call of a pure virtual function end the process,
// as they trap in WebAssembly. Compiled into each native library of C++ sources (lawow/build/native.py).
#include <cstddef>
#include <cstdlib>
#include <new>

namespace std {
const nothrow_t nothrow{};
inline namespace __1 {
[[noreturn]] void __libcpp_verbose_abort(const char *, ...) noexcept { abort(); }
}  // namespace __1
}  // namespace std

extern "C" [[noreturn]] void __cxa_pure_virtual() { abort(); }

static void *allocated(size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) abort();
  return memory;
}

static void *allocated(size_t bytes, std::align_val_t alignment) {
  void *memory = nullptr;
  size_t least = static_cast<size_t>(alignment) < sizeof(void *) ? sizeof(void *) : static_cast<size_t>(alignment);
  if (posix_memalign(&memory, least, bytes ? bytes : 1)) abort();
  return memory;
}

void *operator new(size_t bytes) { return allocated(bytes); }
void *operator new[](size_t bytes) { return allocated(bytes); }
void *operator new(size_t bytes, const std::nothrow_t &) noexcept { return malloc(bytes ? bytes : 1); }
void *operator new[](size_t bytes, const std::nothrow_t &) noexcept { return malloc(bytes ? bytes : 1); }
void *operator new(size_t bytes, std::align_val_t alignment) { return allocated(bytes, alignment); }
void *operator new[](size_t bytes, std::align_val_t alignment) { return allocated(bytes, alignment); }
void operator delete(void *memory) noexcept { free(memory); }
void operator delete[](void *memory) noexcept { free(memory); }
void operator delete(void *memory, size_t) noexcept { free(memory); }
void operator delete[](void *memory, size_t) noexcept { free(memory); }
void operator delete(void *memory, const std::nothrow_t &) noexcept { free(memory); }
void operator delete[](void *memory, const std::nothrow_t &) noexcept { free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { free(memory); }
void operator delete[](void *memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void *memory, size_t, std::align_val_t) noexcept { free(memory); }
void operator delete[](void *memory, size_t, std::align_val_t) noexcept { free(memory); }
