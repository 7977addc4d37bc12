/* liblawow.so: the native functions of dev.lawow.Native over libwasmtime.so.
 *
 * libwasmtime is opened by name and its functions are looked up, because it has no SONAME: linked against, Android
 * would look for it under the build machine's path.
 */
#include "lawow_glue.h"
#include "lawow_host.h"
#include "wasmtime_api.h"

enum { MOST_TABLE_ELEMENTS = 100000, MOST_TABLES = 4 };

static struct {
#define X(type, name, parameters) type(*name) parameters;
  WT_API(X)
#undef X
} wt;

/* Set when every function of `wt` is there. A second thread that loads meanwhile stores the same addresses. */
static int api_is_loaded;

typedef struct {
  void *engine;
  void *linker;
  int flags;
} Engine;

typedef struct {
  Engine *engine;
  void *store;
  void *context;
  void *caller; /* wasmtime's, while a host function runs; NULL otherwise */
  Entry entry;
  wt_instance instance;
  bool started; /* `instance` is one */
  int expired;  /* set by the watchdog's thread, read by the guest's */
  Output output;
} Instance;

typedef wt_func Function;

#include "lawow_calls.h"

/* --- failures --------------------------------------------------------------------------------------------------- */

/* Consumes wasmtime's error or trap, if there is one, into a failure record. `instance` may be NULL. */
static bool failed(JNIEnv *env, jobjectArray failure, Instance *instance, void *error, void *trap) {
  wt_bytes message = {0, NULL};
  int32_t code = CODE_ERROR;
  int status = 0;
  uint8_t trap_code;
  if (!error && !trap) return false;
  if (error) {
    wt.wasmtime_error_message(error, &message);
    if (wt.wasmtime_error_exit_status(error, &status)) code = CODE_EXIT;
    else if (instance && __atomic_load_n(&instance->expired, __ATOMIC_ACQUIRE)) code = TRAP_INTERRUPT;
    wt.wasmtime_error_delete(error);
  } else {
    wt.wasm_trap_message(trap, &message);
    if (message.size && message.data[message.size - 1] == 0) message.size--;
    code = wt.wasmtime_trap_code(trap, &trap_code) ? trap_code : TRAP_UNKNOWN;
    wt.wasm_trap_delete(trap);
  }
  fail_bytes(env, failure, code, status, message.data, message.size);
  if (message.data) wt.wasm_byte_vec_delete(&message);
  return true;
}

/* --- engine ----------------------------------------------------------------------------------------------------- */

/* Opens libwasmtime and fills `wt`; false leaves a failure. */
static bool load_api(JNIEnv *env, jobjectArray failure, const char *path) {
  if (__atomic_load_n(&api_is_loaded, __ATOMIC_ACQUIRE)) return true;
  void *library = open_library(env, failure, path, "libwasmtime.so");
  if (!library) return false;
  if (!dlsym(library, WT_VERSION_MARK)) {
    fail(env, failure, CODE_ERROR, "libwasmtime is not version " WT_VERSION ", for which this app was packed");
    return false;
  }
#define X(type, name, parameters) \
  *(void **)(&wt.name) = dlsym(library, #name); \
  if (!wt.name) { \
    fail(env, failure, CODE_ERROR, "libwasmtime lacks the function " #name); \
    return false; \
  }
  WT_API(X)
#undef X
  __atomic_store_n(&api_is_loaded, 1, __ATOMIC_RELEASE);
  return true;
}

/* The engine profile of a phone. Traps by signals end the process on arm64 (wasmtime reads the wrong registers there),
 * so every check is explicit, and then reserved address space and guard pages would buy nothing. */
static void *new_config(JNIEnv *env, jobjectArray failure, int flags, jlong stack_bytes) {
  void *config = wt.wasm_config_new();
  wt.wasmtime_config_signals_based_traps_set(config, false);
  wt.wasmtime_config_memory_reservation_set(config, 0);
  wt.wasmtime_config_memory_guard_size_set(config, 0);
  wt.wasmtime_config_memory_init_cow_set(config, false);
  wt.wasmtime_config_max_wasm_stack_set(config, (size_t)stack_bytes);
  wt.wasmtime_config_consume_fuel_set(config, (flags & FLAG_FUEL) != 0);
  wt.wasmtime_config_epoch_interruption_set(config, (flags & FLAG_DEADLINES) != 0);
  /* After an error here the config is lost, but so is the app's only engine: this happens once. */
  if ((flags & FLAG_PULLEY) && failed(env, failure, NULL, wt.wasmtime_config_target_set(config, "pulley64"), NULL))
    return NULL;
  return config;
}

NATIVE(jlong, engineNew)(JNIEnv *env, jclass type, jbyteArray library, jint flags, jlong stack_bytes, jobjectArray failure) {
  (void)type;
  size_t size;
  char *path = (char *)copy_bytes(env, library, &size);
  bool loaded = load_api(env, failure, path);
  free(path);
  if (!loaded) return 0;
  Engine *engine = calloc(1, sizeof *engine);
  void *config = engine ? new_config(env, failure, flags, stack_bytes) : NULL;
  if (!config) {
    free(engine);
    return 0;
  }
  engine->flags = flags;
  engine->engine = wt.wasm_engine_new_with_config(config);
  engine->linker = wt.wasmtime_linker_new(engine->engine);
  if (failed(env, failure, NULL, wt.wasmtime_linker_define_wasi(engine->linker), NULL)) {
    wt.wasmtime_linker_delete(engine->linker);
    wt.wasm_engine_delete(engine->engine);
    free(engine);
    return 0;
  }
  return (jlong)(intptr_t)engine;
}

NATIVE(void, engineTick)(JNIEnv *env, jclass type, jlong engine) {
  (void)env;
  (void)type;
  wt.wasmtime_engine_increment_epoch(((Engine *)(intptr_t)engine)->engine);
}

typedef void *(*module_reader)(void *, const uint8_t *, size_t, void **);

static jlong read_module(JNIEnv *env, jlong engine, jbyteArray data, jobjectArray failure, module_reader read) {
  size_t size;
  void *module = NULL;
  uint8_t *bytes = copy_bytes(env, data, &size);
  if (!bytes) {
    fail(env, failure, CODE_ERROR, "no memory for the module");
    return 0;
  }
  void *error = read(((Engine *)(intptr_t)engine)->engine, bytes, size, &module);
  free(bytes);
  return failed(env, failure, NULL, error, NULL) ? 0 : (jlong)(intptr_t)module;
}

NATIVE(jlong, moduleNew)(JNIEnv *env, jclass type, jlong engine, jbyteArray wasm, jobjectArray failure) {
  (void)type;
  return read_module(env, engine, wasm, failure, wt.wasmtime_module_new);
}

NATIVE(jlong, moduleLoad)(JNIEnv *env, jclass type, jlong engine, jbyteArray compiled, jobjectArray failure) {
  (void)type;
  return read_module(env, engine, compiled, failure, wt.wasmtime_module_deserialize);
}

NATIVE(jbyteArray, moduleSave)(JNIEnv *env, jclass type, jlong module, jobjectArray failure) {
  (void)type;
  wt_bytes bytes = {0, NULL};
  if (failed(env, failure, NULL, wt.wasmtime_module_serialize((void *)(intptr_t)module, &bytes), NULL)) return NULL;
  jbyteArray array = NULL;
  if (bytes.size > INT32_MAX) fail(env, failure, CODE_ERROR, "the compiled module is larger than 2 GiB");
  else array = (*env)->NewByteArray(env, (jsize)bytes.size);
  if (array) (*env)->SetByteArrayRegion(env, array, 0, (jsize)bytes.size, (const jbyte *)bytes.data);
  wt.wasm_byte_vec_delete(&bytes);
  return array;
}

NATIVE(void, moduleFree)(JNIEnv *env, jclass type, jlong module) {
  (void)env;
  (void)type;
  wt.wasmtime_module_delete((void *)(intptr_t)module);
}

/* --- instance --------------------------------------------------------------------------------------------------- */

static ptrdiff_t on_output(void *data, const unsigned char *bytes, size_t size) {
  keep_output(&((Instance *)data)->output, bytes, size);
  return (ptrdiff_t)size;
}

/* The epoch moves for every instance of the engine; only the one whose time is up stops. */
static void *on_epoch(void *context, void *data, uint64_t *delta, uint8_t *kind) {
  Instance *instance = data;
  (void)context;
  if (__atomic_load_n(&instance->expired, __ATOMIC_ACQUIRE)) return wt.wasmtime_error_new("the time limit was reached");
  *delta = 1;
  *kind = WT_DEADLINE_CONTINUE;
  return NULL;
}

static void free_instance(Instance *instance) {
  if (instance->store) wt.wasmtime_store_delete(instance->store);
  free(instance);
}

NATIVE(jlong, instanceNew)(JNIEnv *env, jclass type, jlong engine_handle, jlong memory_bytes, jobjectArray failure) {
  (void)type;
  Instance *instance = calloc(1, sizeof *instance);
  if (!instance) {
    fail(env, failure, CODE_ERROR, "no memory for an instance");
    return 0;
  }
  instance->engine = (Engine *)(intptr_t)engine_handle;
  instance->store = wt.wasmtime_store_new(instance->engine->engine, instance, NULL);
  instance->context = wt.wasmtime_store_context(instance->store);
  wt.wasmtime_store_limiter(instance->store, memory_bytes, MOST_TABLE_ELEMENTS, 1, MOST_TABLES, 1);
  if (instance->engine->flags & FLAG_DEADLINES)
    wt.wasmtime_store_epoch_deadline_callback(instance->store, on_epoch, instance, NULL);
  void *wasi = wt.wasi_config_new(); /* no arguments, no environment, no folders */
  wt.wasi_config_set_stdout_custom(wasi, on_output, instance, NULL);
  wt.wasi_config_set_stderr_custom(wasi, on_output, instance, NULL);
  if (failed(env, failure, NULL, wt.wasmtime_context_set_wasi(instance->context, wasi), NULL)) {
    free_instance(instance);
    return 0;
  }
  return (jlong)(intptr_t)instance;
}

NATIVE(void, instanceArm)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  Instance *instance = (Instance *)(intptr_t)handle;
  __atomic_store_n(&instance->expired, 0, __ATOMIC_RELEASE);
  wt.wasmtime_context_set_epoch_deadline(instance->context, 1);
}

NATIVE(void, instanceExpire)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  __atomic_store_n(&((Instance *)(intptr_t)handle)->expired, 1, __ATOMIC_RELEASE);
}

static bool set_fuel(JNIEnv *env, jobjectArray failure, Instance *instance, jlong fuel) {
  if (!(instance->engine->flags & FLAG_FUEL) || instance->caller) return true; /* an inner call has the outer's rest */
  return !failed(env, failure, NULL, wt.wasmtime_context_set_fuel(instance->context, (uint64_t)fuel), NULL);
}

/* Finds an export. While a host function runs it is its caller's, which may be a module that is still starting. */
static bool find_export(Instance *instance, const char *name, size_t size, wt_extern *found) {
  if (instance->caller) return wt.wasmtime_caller_export_get(instance->caller, name, size, found);
  return instance->started &&
         wt.wasmtime_instance_export_get(instance->context, &instance->instance, name, size, found);
}

static bool find_function(Instance *instance, const char *name, size_t size, Function *function) {
  wt_extern found;
  if (!find_export(instance, name, size, &found)) return false;
  bool is_function = found.kind == WT_EXTERN_FUNC;
  if (is_function) *function = found.of.func;
  wt.wasmtime_extern_delete(&found);
  return is_function;
}

NATIVE(void, instanceStart)(JNIEnv *env, jclass type, jlong handle, jlong linker, jlong module, jlong fuel, jobject host,
                            jobjectArray failure) {
  static const char initialize[] = "_initialize";
  Instance *instance = (Instance *)(intptr_t)handle;
  void *trap = NULL;
  wt_func function;
  if (!set_fuel(env, failure, instance, fuel)) return;
  instance->entry = (Entry){env, type, host};
  void *error = wt.wasmtime_linker_instantiate(
      linker ? (void *)(intptr_t)linker : instance->engine->linker, instance->context, (void *)(intptr_t)module,
      &instance->instance, &trap);
  if (failed(env, failure, instance, error, trap)) return;
  instance->started = true;
  if (!find_function(instance, initialize, sizeof initialize - 1, &function)) return;
  error = wt.wasmtime_func_call(instance->context, &function, NULL, 0, NULL, 0, &trap);
  failed(env, failure, instance, error, trap);
}

/* --- call ------------------------------------------------------------------------------------------------------- */

static const char letters[] = "iIfF"; /* in the order of WT_I32 ... */

/* Whether the types are exactly the `count` letters. */
static bool types_fit(const wt_vec *types, const uint8_t *wanted, size_t count) {
  if (types->size != count) return false;
  for (size_t at = 0; at < count; at++) {
    uint8_t kind = wt.wasm_valtype_kind(types->data[at]);
    if (kind > WT_F64 || letters[kind] != (char)wanted[at]) return false;
  }
  return true;
}

static bool signature_fits(Instance *instance, const Function *function, const uint8_t *signature, size_t size,
                           size_t parameters) {
  void *type = wt.wasmtime_func_type(instance->context, function);
  bool fits = types_fit(wt.wasm_functype_params(type), signature, parameters) &&
              types_fit(wt.wasm_functype_results(type), signature + parameters + 1, size - parameters - 1);
  wt.wasm_functype_delete(type);
  return fits;
}

static void set_value(wt_val *value, char letter, jlong bits) {
  memset(value, 0, sizeof *value);
  for (uint8_t kind = WT_I32; kind <= WT_F64; kind++)
    if (letters[kind] == letter) value->kind = kind;
  if (letter == 'i' || letter == 'f') value->of.i32 = (int32_t)bits;
  else value->of.i64 = bits;
}

static jlong get_bits(const wt_val *value) {
  return value->kind == WT_I32 || value->kind == WT_F32 ? (jlong)(uint32_t)value->of.i32 : value->of.i64;
}

/* Calls with values and bits in one new block of memory; NULL leaves a failure or a pending Java exception. */
static jlongArray call_with(Entry entry, Instance *instance, const Function *function, const uint8_t *signature,
                            size_t parameters, size_t results, jlongArray arguments, jobjectArray failure) {
  JNIEnv *env = entry.env;
  jlongArray array = NULL;
  void *trap = NULL;
  wt_val *values = malloc((parameters + results + 1) * (sizeof(wt_val) + sizeof(jlong)));
  if (!values) {
    fail(env, failure, CODE_ERROR, "no memory for the arguments");
    return NULL;
  }
  jlong *bits = (jlong *)(values + parameters + results + 1);
  (*env)->GetLongArrayRegion(env, arguments, 0, (jsize)parameters, bits);
  for (size_t at = 0; at < parameters; at++) set_value(&values[at], (char)signature[at], bits[at]);
  Entry outer = instance->entry;
  instance->entry = entry;
  void *error = wt.wasmtime_func_call(
      instance->context, function, values, parameters, values + parameters, results, &trap);
  instance->entry = outer;
  if (!failed(env, failure, instance, error, trap)) {
    for (size_t at = 0; at < results; at++) bits[at] = get_bits(&values[parameters + at]);
    array = (*env)->NewLongArray(env, (jsize)results);
    if (array) (*env)->SetLongArrayRegion(env, array, 0, (jsize)results, bits);
  }
  free(values);
  return array;
}

/* Finds the exported memory: its size, and where it lies until the guest runs again (NULL if it is empty). */
static bool find_memory(Instance *instance, uint8_t **data, size_t *size) {
  static const char name[] = "memory";
  wt_extern found;
  if (!find_export(instance, name, sizeof name - 1, &found)) return false;
  bool is_memory = found.kind == WT_EXTERN_MEMORY;
  if (is_memory) {
    *data = wt.wasmtime_memory_data(instance->context, &found.of);
    *size = wt.wasmtime_memory_data_size(instance->context, &found.of);
  }
  wt.wasmtime_extern_delete(&found);
  return is_memory;
}

/* --- host functions --------------------------------------------------------------------------------------------- */

static void *on_host_call(void *data, void *caller, const wt_val *arguments, size_t count, wt_val *results, size_t result_count) {
  static const char reason[] = "a function of the app threw an exception";
  const HostFunction *function = data;
  Instance *instance = wt.wasmtime_context_get_data(wt.wasmtime_caller_context(caller));
  void *outer_caller = instance->caller, *outer_context = instance->context;
  jlong bits[MOST_HOST_VALUES];
  for (size_t at = 0; at < count; at++) bits[at] = get_bits(&arguments[at]);
  instance->caller = caller;
  instance->context = wt.wasmtime_caller_context(caller);
  bool returned = call_java(&instance->entry, function, bits, count);
  instance->caller = outer_caller;
  instance->context = outer_context;
  if (!returned) return wt.wasmtime_trap_new(reason, sizeof reason - 1);
  for (size_t at = 0; at < result_count; at++) set_value(&results[at], function->letters[at], bits[at]);
  return NULL;
}

static void free_host_function(void *data) { free(data); }

/* Returns a functype of letters such as "iI>F"; `arrow` is where the > stands. */
static void *new_functype(const char *letters_of_type, size_t arrow, size_t size) {
  wt_vec sides[2];
  size_t counts[2] = {arrow, size - arrow - 1};
  for (size_t side = 0; side < 2; side++) {
    const char *from = side ? letters_of_type + arrow + 1 : letters_of_type;
    wt.wasm_valtype_vec_new_uninitialized(&sides[side], counts[side]);
    for (size_t at = 0; at < counts[side]; at++) {
      wt_val value;
      set_value(&value, from[at], 0);
      sides[side].data[at] = wt.wasm_valtype_new(value.kind);
    }
  }
  return wt.wasm_functype_new(&sides[0], &sides[1]);
}

NATIVE(jlong, linkerNew)(JNIEnv *env, jclass type, jlong engine, jobjectArray failure) {
  (void)type;
  void *linker = wt.wasmtime_linker_new(((Engine *)(intptr_t)engine)->engine);
  if (!failed(env, failure, NULL, wt.wasmtime_linker_define_wasi(linker), NULL)) return (jlong)(intptr_t)linker;
  wt.wasmtime_linker_delete(linker);
  return 0;
}

static void define_function(JNIEnv *env, jobjectArray failure, jlong linker, Text module, Text name, Text signature,
                            size_t arrow, HostFunction *function) {
  void *functype = new_functype(signature.data, arrow, signature.size);
  void *error = wt.wasmtime_linker_define_func(
      (void *)(intptr_t)linker, module.data, module.size, name.data, name.size, functype, on_host_call, function,
      free_host_function);
  wt.wasm_functype_delete(functype);
  failed(env, failure, NULL, error, NULL);
}

NATIVE(void, linkerFree)(JNIEnv *env, jclass type, jlong linker) {
  (void)env;
  (void)type;
  wt.wasmtime_linker_delete((void *)(intptr_t)linker);
}

NATIVE(void, instanceFree)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  free_instance((Instance *)(intptr_t)handle);
}
