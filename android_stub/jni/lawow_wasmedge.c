/* liblawow.so: the native functions of dev.lawow.Native over libwasmedge.so, which the user brings.
 *
 * What differs from wasmtime, and why:
 *
 * - Modules are interpreted, never compiled. WasmEdge's compiled code finds its traps by signals, takes the process's
 *   handlers away for that, ART's too, and leaves the default ones behind. Its interpreter checks everything itself.
 * - A module runs only if `lawow pack` has prepared it: the limits of the stack and of tables, which WasmEdge lacks, are
 *   written into it (lawow/runtime/fences.py). Its start function is the export START_EXPORT then.
 * - WASI is the glue's own (lawow_wasi.h): WasmEdge's writes to the process's own descriptors and opens sockets.
 * - A deadline stops the guest by WasmEdge_AsyncCancel, which any asynchronous call of an executor offers for all that
 *   it executes; one that has ended is kept for that as `stop`. Calls themselves run on the caller's thread.
 */
#if defined(__clang__) && defined(__aarch64__) /* the helpers of outlined atomics are in no library that is linked */
#pragma clang attribute push(__attribute__((target("no-outline-atomics"))), apply_to = function)
#endif
#include "lawow_glue.h"
#include "lawow_host.h"
#include "wasmedge_api.h"
#include "wasmedge_types.h"

#include "wasmedge_failures.h"

/* --- engine ----------------------------------------------------------------------------------------------------- */

/* Opens libwasmedge and fills `we`; false leaves a failure. */
static bool load_api(JNIEnv *env, jobjectArray failure, const char *path) {
  if (__atomic_load_n(&api_is_loaded, __ATOMIC_ACQUIRE)) return true;
  void *library = open_library(env, failure, path, "libwasmedge.so");
  if (!library) return false;
#define X(type, name, parameters) \
  *(void **)(&we.name) = dlsym(library, "WasmEdge_" #name); \
  if (!we.name) { \
    fail(env, failure, CODE_ERROR, "libwasmedge is not version " WE_VERSION ": it lacks the function WasmEdge_" #name); \
    return false; \
  }
  WE_API(X)
#undef X
  const char *version = we.VersionGet();
  if (strlen(version) != sizeof WE_VERSION - 1 || memcmp(version, WE_VERSION, sizeof WE_VERSION)) {
    fail(env, failure, CODE_ERROR, "libwasmedge is not version " WE_VERSION ", for which this app was packed");
    return false;
  }
  we.LogOff(); /* what goes wrong is returned, too */
  types[0] = we.ValTypeGenI32();
  types[1] = we.ValTypeGenI64();
  types[2] = we.ValTypeGenF32();
  types[3] = we.ValTypeGenF64();
  __atomic_store_n(&api_is_loaded, 1, __ATOMIC_RELEASE);
  return true;
}

/* The stack's size stands in each prepared module. With or without FLAG_PULLEY everything is interpreted. */
NATIVE(jlong, engineNew)(JNIEnv *env, jclass type, jbyteArray library, jint flags, jlong stack_bytes, jobjectArray failure) {
  (void)type;
  (void)stack_bytes;
  size_t size;
  char *path = (char *)copy_bytes(env, library, &size);
  bool loaded = load_api(env, failure, path);
  free(path);
  Engine *engine = loaded ? calloc(1, sizeof *engine) : NULL;
  if (loaded && !engine) fail(env, failure, CODE_ERROR, "no memory for an engine");
  if (engine) engine->flags = flags;
  return (jlong)(intptr_t)engine;
}

/* instanceExpire has done it. */
NATIVE(void, engineTick)(JNIEnv *env, jclass type, jlong engine) {
  (void)env;
  (void)type;
  (void)engine;
}

#include "wasmedge_modules.h"
#include "wasmedge_hosts.h"
#include "wasmedge_instances.h"

/* --- calls ------------------------------------------------------------------------------------------------------ */

static bool find_function(Instance *instance, const char *name, size_t size, Function *function) {
  bool is_added = size >= sizeof ADDED - 1 && !memcmp(name, ADDED, sizeof ADDED - 1);
  if (!instance->made || is_added || size > UINT32_MAX) return false;
  *function = we.ModuleInstanceFindFunction(instance->made, (we_string){(uint32_t)size, name});
  return *function != NULL;
}

typedef uint32_t (*type_reader)(const void *, we_type *, uint32_t);

/* Whether the types of one side of a function are exactly the `count` letters. */
static bool types_fit(const void *type, uint32_t length, type_reader read, const uint8_t *wanted, size_t count) {
  we_type found[MOST_VALUES];
  if (length != count || count > MOST_VALUES) return false;
  read(type, found, length);
  for (size_t at = 0; at < count; at++)
    if (!is_type(found[at], (char)wanted[at])) return false;
  return true;
}

static bool signature_fits(Instance *instance, const Function *function, const uint8_t *signature, size_t size,
                           size_t parameters) {
  const void *type = we.FunctionInstanceGetFunctionType(*function);
  (void)instance;
  return types_fit(type, we.FunctionTypeGetParametersLength(type), we.FunctionTypeGetParameters, signature, parameters) &&
         types_fit(type, we.FunctionTypeGetReturnsLength(type), we.FunctionTypeGetReturns, signature + parameters + 1,
                   size - parameters - 1);
}

static jlongArray call_with(Entry entry, Instance *instance, const Function *function, const uint8_t *signature,
                            size_t parameters, size_t results, jlongArray arguments, jobjectArray failure) {
  JNIEnv *env = entry.env;
  jlongArray array = NULL;
  const char *letters_of_results = (const char *)signature + parameters + 1;
  if (instance->depth >= MOST_DEPTH) {
    fail(env, failure, TRAP_STACK_OVERFLOW, "host functions call the guest too deep");
    return NULL;
  }
  /* malloc aligns to 16 bytes, as the values must be. */
  we_value *values = malloc((parameters + results + 1) * (sizeof(we_value) + sizeof(jlong)));
  if (!values) {
    fail(env, failure, CODE_ERROR, "no memory for the arguments");
    return NULL;
  }
  jlong *bits = (jlong *)(values + parameters + results + 1);
  (*env)->GetLongArrayRegion(env, arguments, 0, (jsize)parameters, bits);
  for (size_t at = 0; at < parameters; at++) values[at] = value_of((char)signature[at], bits[at]);
  Entry outer = instance->entry;
  instance->entry = entry;
  we_result result = invoke(instance, *function, values, parameters, values + parameters, results);
  instance->entry = outer;
  if (!failed(env, failure, instance, result)) {
    for (size_t at = 0; at < results; at++) bits[at] = get_bits(letters_of_results[at], &values[parameters + at]);
    array = (*env)->NewLongArray(env, (jsize)results);
    if (array) (*env)->SetLongArrayRegion(env, array, 0, (jsize)results, bits);
  }
  free(values);
  return array;
}

static bool find_memory(Instance *instance, uint8_t **data, size_t *size) {
  const void *memory = instance->made ? we.ModuleInstanceFindMemory(instance->made, string_of("memory")) : NULL;
  if (!memory) return false;
  *size = (size_t)we.MemoryInstanceGetPageSize(memory) * PAGE_BYTES;
  *data = we.MemoryInstanceGetPointer(memory, 0, (uint32_t)*size);
  return true;
}

#if defined(__clang__) && defined(__aarch64__)
#pragma clang attribute pop
#endif
