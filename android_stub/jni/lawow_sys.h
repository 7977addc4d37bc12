/* The few declarations that the glue needs, so that it builds for Android without an NDK, a JDK or libc headers.
 *
 * With -DLAWOW_USE_JNI_H the real <jni.h> and libc headers take their place (NDK builds, and a test that checks this
 * file against a JDK's header). The JNI table's slots are fixed by the JNI specification, chapter 4; wasmtime's
 * functions and layouts are those of its C API, version 50.0, on 64-bit machines.
 */
#ifndef LAWOW_SYS_H
#define LAWOW_SYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef LAWOW_USE_JNI_H
#include <dlfcn.h>
#include <jni.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#else
/* --- libc and libdl ------------------------------------------------------------------------------------------- */
void *malloc(size_t);
void *calloc(size_t, size_t);
void free(void *);
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
size_t strlen(const char *);
void *dlopen(const char *, int);
void *dlsym(void *, const char *);
char *dlerror(void);
enum { RTLD_NOW = 2 };
#ifdef __ANDROID__
struct sigaction { /* bionic's order on 64-bit machines */
  int sa_flags;
  void (*sa_sigaction)(int, void *, void *);
  unsigned long sa_mask;
  void (*sa_restorer)(void);
};
int sigaction(int, const struct sigaction *, struct sigaction *);
int raise(int);
enum { SIGSYS = 31, SA_SIGINFO = 4, SA_ONSTACK = 0x08000000 };
#endif

/* --- JNI ------------------------------------------------------------------------------------------------------ */
typedef uint8_t jboolean;
typedef int8_t jbyte;
typedef int32_t jint;
typedef int32_t jsize;
typedef int64_t jlong;
typedef void *jobject;
typedef jobject jclass, jbyteArray, jlongArray, jobjectArray;
typedef void *jmethodID;
typedef union {
  int32_t i;
  int64_t j;
  jobject l;
} jvalue;
struct JNINativeInterface;
typedef const struct JNINativeInterface *JNIEnv;
typedef void JavaVM;
struct JNINativeInterface {
  void *before_delete_local[23];
  void (*DeleteLocalRef)(JNIEnv *, jobject); /* 23 */
  void *before_static_method[89];
  jmethodID (*GetStaticMethodID)(JNIEnv *, jclass, const char *, const char *); /* 113 */
  void *before_call_static[2];
  jobject (*CallStaticObjectMethodA)(JNIEnv *, jclass, jmethodID, const jvalue *); /* 116 */
  void *before_array_length[54];
  jsize (*GetArrayLength)(JNIEnv *, jobject); /* 171 */
  void *before_set_element[2];
  void (*SetObjectArrayElement)(JNIEnv *, jobjectArray, jsize, jobject); /* 174 */
  void *before_new_byte_array[1];
  jbyteArray (*NewByteArray)(JNIEnv *, jsize); /* 176 */
  void *before_new_long_array[3];
  jlongArray (*NewLongArray)(JNIEnv *, jsize); /* 180 */
  void *before_get_bytes[19];
  void (*GetByteArrayRegion)(JNIEnv *, jbyteArray, jsize, jsize, jbyte *); /* 200 */
  void *before_get_longs[3];
  void (*GetLongArrayRegion)(JNIEnv *, jlongArray, jsize, jsize, jlong *); /* 204 */
  void *before_set_bytes[3];
  void (*SetByteArrayRegion)(JNIEnv *, jbyteArray, jsize, jsize, const jbyte *); /* 208 */
  void *before_set_longs[3];
  void (*SetLongArrayRegion)(JNIEnv *, jlongArray, jsize, jsize, const jlong *); /* 212 */
  void *before_exception_check[15];
  jboolean (*ExceptionCheck)(JNIEnv *); /* 228 */
};
#define JNIEXPORT __attribute__((visibility("default")))
#define JNICALL
#define JNI_VERSION_1_6 0x00010006
#endif

/* --- wasmtime ------------------------------------------------------------------------------------------------- */
typedef struct {
  size_t size;
  uint8_t *data;
} wt_bytes;
typedef struct {
  size_t size;
  void **data;
} wt_vec;
typedef struct {
  uint64_t store;
  void *private1;
} wt_func;
typedef struct {
  uint64_t store;
  size_t private1;
} wt_instance;
typedef struct {
  uint8_t kind;
  union {
    wt_func func;
    uint64_t words[3];
  } of;
} wt_extern;
typedef struct {
  uint8_t kind;
  union {
    int32_t i32;
    int64_t i64;
    uint64_t words[3];
  } of;
} wt_val;
_Static_assert(sizeof(wt_val) == 32 && sizeof(wt_extern) == 32, "layout of wasmtime's C API");
_Static_assert(sizeof(wt_func) == 16 && sizeof(wt_instance) == 16, "layout of wasmtime's C API");
enum { WT_I32, WT_I64, WT_F32, WT_F64 };
enum { WT_EXTERN_FUNC = 0, WT_EXTERN_MEMORY = 3 };
enum { WT_TRAP_MEMORY_OUT_OF_BOUNDS = 1, WT_TRAP_INTERRUPT = 10 };
enum { WT_DEADLINE_CONTINUE = 0 };
typedef void (*wt_finalizer)(void *);
typedef void *(*wt_deadline_callback)(void *, void *, uint64_t *, uint8_t *);
typedef ptrdiff_t (*wt_write_callback)(void *, const unsigned char *, size_t);
typedef void *(*wt_callback)(void *, void *, const wt_val *, size_t, wt_val *, size_t);

/* wasmtime exports this name in version 50.0 only; the layouts above hold for no other version. */
#define WT_VERSION "50.0"
#define WT_VERSION_MARK "resolve_vmctx_memory_ptr_50_0_0"

/* X(return type, name, parameters): every function that the glue takes by dlsym. */
#define WT_API(X) \
  X(void *, wasm_config_new, (void)) \
  X(void *, wasm_engine_new_with_config, (void *)) \
  X(void, wasm_engine_delete, (void *)) \
  X(void, wasmtime_config_consume_fuel_set, (void *, bool)) \
  X(void, wasmtime_config_epoch_interruption_set, (void *, bool)) \
  X(void, wasmtime_config_max_wasm_stack_set, (void *, size_t)) \
  X(void, wasmtime_config_signals_based_traps_set, (void *, bool)) \
  X(void, wasmtime_config_memory_reservation_set, (void *, uint64_t)) \
  X(void, wasmtime_config_memory_guard_size_set, (void *, uint64_t)) \
  X(void, wasmtime_config_memory_init_cow_set, (void *, bool)) \
  X(void *, wasmtime_config_target_set, (void *, const char *)) \
  X(void, wasmtime_engine_increment_epoch, (void *)) \
  X(void *, wasmtime_module_new, (void *, const uint8_t *, size_t, void **)) \
  X(void *, wasmtime_module_serialize, (void *, wt_bytes *)) \
  X(void *, wasmtime_module_deserialize, (void *, const uint8_t *, size_t, void **)) \
  X(void, wasmtime_module_delete, (void *)) \
  X(void *, wasmtime_store_new, (void *, void *, wt_finalizer)) \
  X(void *, wasmtime_store_context, (void *)) \
  X(void, wasmtime_store_limiter, (void *, int64_t, int64_t, int64_t, int64_t, int64_t)) \
  X(void, wasmtime_store_epoch_deadline_callback, (void *, wt_deadline_callback, void *, wt_finalizer)) \
  X(void, wasmtime_store_delete, (void *)) \
  X(void *, wasmtime_context_set_fuel, (void *, uint64_t)) \
  X(void, wasmtime_context_set_epoch_deadline, (void *, uint64_t)) \
  X(void *, wasmtime_context_set_wasi, (void *, void *)) \
  X(void *, wasmtime_linker_new, (void *)) \
  X(void, wasmtime_linker_delete, (void *)) \
  X(void *, wasmtime_linker_define_wasi, (void *)) \
  X(void *, wasmtime_linker_define_func, \
    (void *, const char *, size_t, const char *, size_t, const void *, wt_callback, void *, wt_finalizer)) \
  X(void *, wasmtime_caller_context, (void *)) \
  X(bool, wasmtime_caller_export_get, (void *, const char *, size_t, wt_extern *)) \
  X(void *, wasmtime_context_get_data, (const void *)) \
  X(void *, wasmtime_trap_new, (const char *, size_t)) \
  X(void *, wasm_valtype_new, (uint8_t)) \
  X(void, wasm_valtype_vec_new_uninitialized, (wt_vec *, size_t)) \
  X(void *, wasm_functype_new, (wt_vec *, wt_vec *)) \
  X(void *, wasmtime_linker_instantiate, (const void *, void *, const void *, wt_instance *, void **)) \
  X(bool, wasmtime_instance_export_get, (void *, const wt_instance *, const char *, size_t, wt_extern *)) \
  X(void, wasmtime_extern_delete, (wt_extern *)) \
  X(uint8_t *, wasmtime_memory_data, (const void *, const void *)) \
  X(size_t, wasmtime_memory_data_size, (const void *, const void *)) \
  X(void *, wasmtime_func_type, (const void *, const wt_func *)) \
  X(void *, wasmtime_func_call, (void *, const wt_func *, const wt_val *, size_t, wt_val *, size_t, void **)) \
  X(void *, wasmtime_error_new, (const char *)) \
  X(void, wasmtime_error_message, (const void *, wt_bytes *)) \
  X(bool, wasmtime_error_exit_status, (const void *, int *)) \
  X(void, wasmtime_error_delete, (void *)) \
  X(bool, wasmtime_trap_code, (const void *, uint8_t *)) \
  X(void, wasm_trap_message, (const void *, wt_bytes *)) \
  X(void, wasm_trap_delete, (void *)) \
  X(void, wasm_byte_vec_delete, (wt_bytes *)) \
  X(const wt_vec *, wasm_functype_params, (const void *)) \
  X(const wt_vec *, wasm_functype_results, (const void *)) \
  X(void, wasm_functype_delete, (void *)) \
  X(uint8_t, wasm_valtype_kind, (const void *)) \
  X(void *, wasi_config_new, (void)) \
  X(void, wasi_config_set_stdout_custom, (void *, wt_write_callback, void *, wt_finalizer)) \
  X(void, wasi_config_set_stderr_custom, (void *, wt_write_callback, void *, wt_finalizer))
#endif
