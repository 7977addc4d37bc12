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

/* The added exports of a prepared module: (): i32, what is left of the stack; the start function; its own memory. */
#define ADDED "lawow:"
#define STACK_EXPORT ADDED "stack"
#define START_EXPORT ADDED "start"
#define MEMORY_EXPORT ADDED "memory"

/* One page below 4 GiB: bounds of a memory of exactly 4 GiB are checked wrongly (CVE-2025-69261). MOST_DEPTH: of calls
 * that host functions make, each of which takes some of the thread's stack. */
enum { PAGE_BYTES = 1 << 16, MOST_PAGES = (1 << 16) - 1, MOST_DEPTH = 64 };

static struct {
#define X(type, name, parameters) type(*name) parameters;
  WE_API(X)
#undef X
} we;

/* Set when every function of `we` is there. A second thread that loads meanwhile stores the same addresses. */
static int api_is_loaded;

static const char letters[] = "iIfF";
static we_type types[4]; /* in the order of `letters` */

typedef struct {
  int flags;
} Engine;

/* A module that was read and validated. Java's handle holds it, and so does each instance. */
typedef struct {
  int holders;
  void *ast;
  uint32_t least_pages; /* what its memory begins with */
} Module;

/* What the app offers to modules, one link for each function. Held like a module. */
typedef struct Offer {
  struct Offer *next;
  HostFunction *function;
  char *module, *name, *parameters;
} Offer;
typedef struct {
  int holders;
  Offer *offers;
} Linker;

typedef struct Instance Instance;

/* A host function as one instance has it. */
typedef struct {
  Instance *instance;
  const Offer *offer;
} Bound;

/* A function of WASI as one instance has it: its place in the table of lawow_wasi.h. */
typedef struct {
  Instance *instance;
  uint32_t number;
} WasiCall;

struct Instance {
  Engine *engine;
  Module *module;
  Linker *linker;
  void *statistics, *executor, *store, *made;
  void *stop; /* an asynchronous call that has ended: cancelling it interrupts the executor */
  void **hosts; /* WasmEdge's module instances that the guest imports from */
  size_t host_count;
  Bound *bounds;
  WasiCall *wasi;
  const void *stack_left;
  uint64_t cost_limit;
  uint32_t page_limit;
  Entry entry;
  int depth;
  int expired; /* set by the watchdog's thread, read by the guest's */
  int exit_status;
  bool host_threw;
  Output output;
};

typedef const void *Function;

#include "lawow_calls.h"

static we_string string_of(const char *text) { return (we_string){(uint32_t)strlen(text), text}; }

static bool is_expired(Instance *instance) { return __atomic_load_n(&instance->expired, __ATOMIC_SEQ_CST); }

/* --- failures --------------------------------------------------------------------------------------------------- */

/* WasmEdge's codes of traps, and those of dev.lawow.Trap. */
static const struct {
  uint32_t code;
  int32_t trap;
} traps[] = {
    {WE_COST_EXCEEDED, TRAP_OUT_OF_FUEL},
    {0x404, 7}, /* integer-divide-by-zero */
    {0x405, 6}, /* integer-overflow */
    {0x406, 8}, /* bad-conversion-to-integer */
    {0x407, 3}, /* table-out-of-bounds */
    {0x408, TRAP_MEMORY_OUT_OF_BOUNDS},
    {WE_UNREACHABLE, 9},
    {0x40b, 4}, /* indirect-call-to-null */
    {0x40c, 3}, /* table-out-of-bounds, of an indirect call */
    {0x40d, 5}, /* bad-signature */
};

/* The stack that is left, below zero after an overflow. Costs no fuel. */
static int32_t stack_left(Instance *instance) {
  we_value left = {0};
  we.StatisticsSetCostLimit(instance->statistics, UINT64_MAX);
  we.ExecutorInvoke(instance->executor, instance->stack_left, NULL, 0, &left, 1);
  we.StatisticsSetCostLimit(instance->statistics, instance->cost_limit);
  return (int32_t)left.low;
}

/* Leaves a failure record for what did not end well, and tells whether that is so. A guest that was told to stop counts
 * as interrupted even if it ended by itself at that moment: the next one would be stopped in its place. */
static bool failed(JNIEnv *env, jobjectArray failure, Instance *instance, we_result result) {
  int32_t code = TRAP_UNKNOWN;
  bool late = is_expired(instance);
  if (result.code == WE_DONE && !late) return false;
  const char *message = we.ResultGetMessage(result);
  for (size_t at = 0; at < sizeof traps / sizeof *traps; at++)
    if (traps[at].code == result.code) code = traps[at].trap;
  if (result.code == WE_INTERRUPTED || late) code = TRAP_INTERRUPT, message = "the time limit was reached";
  else if (instance->host_threw) code = CODE_ERROR, message = "a function of the app threw an exception";
  else if (result.code == WE_TERMINATED) code = CODE_EXIT;
  else if (result.code == WE_UNREACHABLE && stack_left(instance) < 0) code = TRAP_STACK_OVERFLOW, message = "call stack exhausted";
  instance->host_threw = false;
  fail_bytes(env, failure, code, instance->exit_status, message, strlen(message));
  return true;
}

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

/* --- module ----------------------------------------------------------------------------------------------------- */

static void let_go_module(Module *module) {
  if (!module || __atomic_sub_fetch(&module->holders, 1, __ATOMIC_ACQ_REL)) return;
  we.ASTModuleDelete(module->ast);
  free(module);
}

static void *new_configuration(void) {
  void *configuration = we.ConfigureCreate();
  we.ConfigureSetForceInterpreter(configuration, true); /* also if the module brings machine code */
  return configuration;
}

static we_result parse(const uint8_t *bytes, uint32_t size, void **ast) {
  void *configuration = new_configuration();
  void *loader = we.LoaderCreate(configuration), *validator = we.ValidatorCreate(configuration);
  we_result result = we.LoaderParseFromBuffer(loader, ast, bytes, size);
  if (result.code == WE_DONE) result = we.ValidatorValidate(validator, *ast);
  we.ValidatorDelete(validator);
  we.LoaderDelete(loader);
  we.ConfigureDelete(configuration);
  return result;
}

static const void *find_export(const void *ast, const char *wanted) {
  uint32_t count = we.ASTModuleListExportsLength(ast);
  const void **list = calloc(count + 1, sizeof *list);
  const void *found = NULL;
  size_t size = strlen(wanted);
  if (list) count = we.ASTModuleListExports(ast, list, count);
  for (uint32_t at = 0; list && at < count && !found; at++) {
    we_string name = we.ExportTypeGetExternalName(list[at]);
    if (name.length == size && !memcmp(name.data, wanted, size)) found = list[at];
  }
  free(list);
  return found;
}

/* By the module's type: an instance that could not have its memory says that it begins with none. */
static uint32_t least_pages(const void *ast) {
  const void *memory = find_export(ast, MEMORY_EXPORT);
  return memory ? we.MemoryTypeGetLimit(we.ExportTypeGetMemoryType(ast, memory)).minimum : 0;
}

static jlong read_module(JNIEnv *env, jbyteArray data, jobjectArray failure) {
  size_t size = 0;
  uint8_t *bytes = copy_bytes(env, data, &size);
  Module *module = bytes ? calloc(1, sizeof *module) : NULL;
  bool is_module = module && size >= 4 && !memcmp(bytes, "\0asm", 4); /* else WasmEdge might load machine code */
  we_result result = is_module ? parse(bytes, (uint32_t)size, &module->ast) : (we_result){WE_DONE};
  const char *reason = NULL;
  if (!module) reason = "no memory for the module";
  else if (!is_module) reason = "is not a WebAssembly module";
  else if (result.code != WE_DONE) reason = we.ResultGetMessage(result);
  else if (!find_export(module->ast, STACK_EXPORT))
    reason = "WasmEdge runs only what `lawow pack` has prepared, because it has no limit of the stack itself";
  free(bytes);
  if (!reason) {
    module->holders = 1;
    module->least_pages = least_pages(module->ast);
    return (jlong)(intptr_t)module;
  }
  fail(env, failure, CODE_ERROR, reason);
  if (module && module->ast) we.ASTModuleDelete(module->ast);
  free(module);
  return 0;
}

NATIVE(jlong, moduleNew)(JNIEnv *env, jclass type, jlong engine, jbyteArray wasm, jobjectArray failure) {
  (void)type;
  (void)engine;
  return read_module(env, wasm, failure);
}

/* Takes prepared modules: nothing that it gets is ever run as machine code. */
NATIVE(jlong, moduleLoad)(JNIEnv *env, jclass type, jlong engine, jbyteArray compiled, jobjectArray failure) {
  (void)type;
  (void)engine;
  return read_module(env, compiled, failure);
}

NATIVE(jbyteArray, moduleSave)(JNIEnv *env, jclass type, jlong module, jobjectArray failure) {
  (void)type;
  (void)module;
  fail(env, failure, CODE_ERROR, "an interpreted module has no code to save");
  return NULL;
}

NATIVE(void, moduleFree)(JNIEnv *env, jclass type, jlong module) {
  (void)env;
  (void)type;
  let_go_module((Module *)(intptr_t)module);
}

/* --- values ----------------------------------------------------------------------------------------------------- */

static we_type type_of(char letter) {
  size_t at = 0;
  while (at < 3 && letters[at] != letter) at++;
  return types[at];
}

/* Not all bytes of a type have a meaning, so they are not compared. */
static bool is_type(we_type type, char letter) {
  bool (*const tests[])(we_type) = {we.ValTypeIsI32, we.ValTypeIsI64, we.ValTypeIsF32, we.ValTypeIsF64};
  for (size_t at = 0; at < 4; at++)
    if (letters[at] == letter) return tests[at](type);
  return false;
}

static we_value value_of(char letter, jlong bits) {
  bool is_narrow = letter == 'i' || letter == 'f';
  return (we_value){is_narrow ? (uint32_t)bits : (uint64_t)bits, 0, type_of(letter)};
}

static jlong get_bits(char letter, const we_value *value) {
  return letter == 'i' || letter == 'f' ? (jlong)(uint32_t)value->low : (jlong)value->low;
}

/* Returns the FunctionType of letters; NULL without memory. */
static void *new_functype(const char *parameters, size_t count, const char *results, size_t result_count) {
  we_type all[2 * MOST_HOST_VALUES];
  for (size_t at = 0; at < count; at++) all[at] = type_of(parameters[at]);
  for (size_t at = 0; at < result_count; at++) all[count + at] = type_of(results[at]);
  return we.FunctionTypeCreate(all, (uint32_t)count, all + count, (uint32_t)result_count);
}

/* --- host functions --------------------------------------------------------------------------------------------- */

static void let_go_linker(Linker *linker) {
  if (!linker || __atomic_sub_fetch(&linker->holders, 1, __ATOMIC_ACQ_REL)) return;
  while (linker->offers) {
    Offer *offer = linker->offers;
    linker->offers = offer->next;
    free(offer->function);
    free(offer->module);
    free(offer);
  }
  free(linker);
}

NATIVE(jlong, linkerNew)(JNIEnv *env, jclass type, jlong engine, jobjectArray failure) {
  (void)type;
  (void)engine;
  Linker *linker = calloc(1, sizeof *linker);
  if (!linker) fail(env, failure, CODE_ERROR, "no memory for a linker");
  else linker->holders = 1;
  return (jlong)(intptr_t)linker;
}

/* Texts end with a zero byte here. `module` is one block of memory with all three. */
static Offer *new_offer(Text module, Text name, Text signature, size_t arrow, HostFunction *function) {
  Offer *offer = calloc(1, sizeof *offer);
  char *texts = offer ? calloc(1, module.size + name.size + arrow + 3) : NULL;
  if (!texts) {
    free(offer);
    return NULL;
  }
  offer->function = function;
  offer->module = memcpy(texts, module.data, module.size);
  offer->name = memcpy(texts + module.size + 1, name.data, name.size);
  offer->parameters = memcpy(offer->name + name.size + 1, signature.data, arrow);
  return offer;
}

static bool same(const char *one, const char *other) {
  size_t size = strlen(one);
  return size == strlen(other) && !memcmp(one, other, size);
}

static void define_function(JNIEnv *env, jobjectArray failure, jlong handle, Text module, Text name, Text signature,
                            size_t arrow, HostFunction *function) {
  Linker *linker = (Linker *)(intptr_t)handle;
  Offer *offer = new_offer(module, name, signature, arrow, function);
  const char *reason = offer ? NULL : "no memory for a host function";
  for (Offer *other = linker->offers; offer && other; other = other->next)
    if (same(other->module, offer->module) && same(other->name, offer->name)) reason = "a host function is defined twice";
  if (!reason) {
    offer->next = linker->offers;
    linker->offers = offer;
    return;
  }
  fail(env, failure, CODE_ERROR, reason);
  if (offer) free(offer->module);
  free(offer);
  free(function);
}

NATIVE(void, linkerFree)(JNIEnv *env, jclass type, jlong linker) {
  (void)env;
  (void)type;
  let_go_linker((Linker *)(intptr_t)linker);
}

static we_result on_host_call(void *data, const void *frame, const we_value *arguments, we_value *results) {
  const Bound *bound = data;
  const HostFunction *function = bound->offer->function;
  const char *parameters = bound->offer->parameters;
  jlong bits[MOST_HOST_VALUES];
  size_t count = strlen(parameters);
  (void)frame;
  for (size_t at = 0; at < count; at++) bits[at] = get_bits(parameters[at], &arguments[at]);
  if (!call_java(&bound->instance->entry, function, bits, count)) {
    bound->instance->host_threw = true;
    return (we_result){WE_HOST_FAILED};
  }
  for (size_t at = 0; at < function->results; at++) results[at] = value_of(function->letters[at], bits[at]);
  return (we_result){WE_DONE};
}

/* Adds a function to what the guest may import; WasmEdge owns it then. False without memory. */
static bool add_function(void *host, const char *name, const char *parameters, const char *results, size_t result_count,
                         we_callback callback, void *data) {
  void *type = new_functype(parameters, strlen(parameters), results, result_count);
  void *function = type ? we.FunctionInstanceCreate(type, callback, data, 0) : NULL;
  we.FunctionTypeDelete(type);
  if (function) we.ModuleInstanceAddFunction(host, string_of(name), function);
  return function != NULL;
}

#include "lawow_wasi.h"

static size_t offer_count(const Linker *linker) {
  size_t count = 0;
  for (const Offer *offer = linker ? linker->offers : NULL; offer; offer = offer->next) count++;
  return count;
}

/* Makes and registers a host module of the offers that name it. */
static bool register_host(Instance *instance, void *host) {
  if (!host) return false;
  instance->hosts[instance->host_count++] = host;
  return we.ExecutorRegisterImport(instance->executor, instance->store, host).code == WE_DONE;
}

static bool is_first_of_its_module(const Linker *linker, const Offer *offer) {
  for (const Offer *other = linker->offers; other != offer; other = other->next)
    if (same(other->module, offer->module)) return false;
  return true;
}

/* Offers WASI, unless the app offers a module of that name, and the functions of the app. */
static bool register_hosts(Instance *instance) {
  size_t count = offer_count(instance->linker), at = 0;
  instance->hosts = calloc(count + 1, sizeof *instance->hosts);
  instance->bounds = calloc(count + 1, sizeof *instance->bounds);
  if (!instance->hosts || !instance->bounds) return false;
  bool has_wasi = false;
  for (const Offer *first = count ? instance->linker->offers : NULL; first; first = first->next) {
    if (!is_first_of_its_module(instance->linker, first)) continue;
    void *host = we.ModuleInstanceCreate(string_of(first->module));
    bool is_wasi = same(first->module, WASI_MODULE);
    has_wasi |= is_wasi;
    bool added = host && (!is_wasi || add_wasi(host, instance));
    for (const Offer *offer = first; added && offer; offer = offer->next) {
      if (!same(offer->module, first->module)) continue;
      instance->bounds[at] = (Bound){instance, offer};
      added = add_function(host, offer->name, offer->parameters, offer->function->letters, offer->function->results,
                           on_host_call, &instance->bounds[at++]);
    }
    if (!register_host(instance, host) || !added) return false;
  }
  if (has_wasi) return true;
  void *host = we.ModuleInstanceCreate(string_of(WASI_MODULE));
  bool added = host && add_wasi(host, instance);
  return register_host(instance, host) && added;
}

/* --- instance --------------------------------------------------------------------------------------------------- */

/* The guest before what it imports. */
static void free_instance(Instance *instance) {
  if (instance->stop) we.AsyncDelete(instance->stop);
  if (instance->made) we.ModuleInstanceDelete(instance->made);
  if (instance->store) we.StoreDelete(instance->store);
  if (instance->executor) we.ExecutorDelete(instance->executor);
  if (instance->statistics) we.StatisticsDelete(instance->statistics);
  for (size_t at = 0; at < instance->host_count; at++) we.ModuleInstanceDelete(instance->hosts[at]);
  free(instance->hosts);
  free(instance->bounds);
  free(instance->wasi);
  let_go_module(instance->module);
  let_go_linker(instance->linker);
  free(instance);
}

NATIVE(jlong, instanceNew)(JNIEnv *env, jclass type, jlong engine_handle, jlong memory_bytes, jobjectArray failure) {
  (void)type;
  Instance *instance = calloc(1, sizeof *instance);
  if (!instance) {
    fail(env, failure, CODE_ERROR, "no memory for an instance");
    return 0;
  }
  jlong pages = memory_bytes / PAGE_BYTES;
  instance->engine = (Engine *)(intptr_t)engine_handle;
  instance->page_limit = pages < MOST_PAGES ? (uint32_t)pages : MOST_PAGES;
  instance->cost_limit = UINT64_MAX;
  void *configuration = new_configuration();
  we.ConfigureSetMaxMemoryPage(configuration, instance->page_limit);
  we.ConfigureStatisticsSetCostMeasuring(configuration, (instance->engine->flags & FLAG_FUEL) != 0);
  instance->statistics = we.StatisticsCreate();
  instance->executor = we.ExecutorCreate(configuration, instance->statistics);
  we.StatisticsSetCostLimit(instance->statistics, UINT64_MAX); /* only now: making the executor sets another */
  instance->store = we.StoreCreate();
  we.ConfigureDelete(configuration);
  return (jlong)(intptr_t)instance;
}

/* A stop that came too late for the last call is taken back: WasmEdge keeps it for whatever runs next. */
NATIVE(void, instanceArm)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  Instance *instance = (Instance *)(intptr_t)handle;
  if (__atomic_exchange_n(&instance->expired, 0, __ATOMIC_SEQ_CST) && instance->stop) stack_left(instance);
}

/* Either this sees `stop`, or instanceStart, which writes it, sees `expired`. */
NATIVE(void, instanceExpire)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  Instance *instance = (Instance *)(intptr_t)handle;
  __atomic_store_n(&instance->expired, 1, __ATOMIC_SEQ_CST);
  void *stop = __atomic_load_n(&instance->stop, __ATOMIC_SEQ_CST);
  if (stop) we.AsyncCancel(stop);
}

static bool set_fuel(JNIEnv *env, jobjectArray failure, Instance *instance, jlong fuel) {
  (void)env;
  (void)failure;
  if (!(instance->engine->flags & FLAG_FUEL) || instance->depth) return true; /* an inner call has the outer's rest */
  instance->cost_limit = we.StatisticsGetTotalCost(instance->statistics) + (uint64_t)fuel;
  we.StatisticsSetCostLimit(instance->statistics, instance->cost_limit);
  return true;
}

/* Instantiates, which runs no code of a prepared module; a text says why that is impossible. */
static const char *instantiate(Instance *instance) {
  uint32_t least = instance->module->least_pages;
  const char *too_much = "the module begins with more memory than the limit allows, or than there is";
  if (least > instance->page_limit) return too_much;
  we_result result =
      we.ExecutorInstantiate(instance->executor, &instance->made, instance->store, instance->module->ast);
  if (result.code != WE_DONE) return we.ResultGetMessage(result);
  const void *memory = we.ModuleInstanceFindMemory(instance->made, string_of(MEMORY_EXPORT));
  if (memory && we.MemoryInstanceGetPageSize(memory) < least) return too_much;
  instance->stack_left = we.ModuleInstanceFindFunction(instance->made, string_of(STACK_EXPORT));
  return instance->stack_left ? NULL : "the module's stack has no limit";
}

/* Keeps an asynchronous call that has ended: what cancels it can stop later ones. */
static void make_stop(Instance *instance) {
  we_value left;
  void *stop = we.ExecutorAsyncInvoke(instance->executor, instance->stack_left, NULL, 0);
  if (stop) we.AsyncGet(stop, &left, 1);
  __atomic_store_n(&instance->stop, stop, __ATOMIC_SEQ_CST);
}

static we_result invoke(Instance *instance, const void *function, const we_value *values, size_t count, we_value *results,
                        size_t result_count) {
  if (is_expired(instance)) return (we_result){WE_INTERRUPTED};
  instance->depth++;
  we_result result = we.ExecutorInvoke(instance->executor, function, values, (uint32_t)count, results, (uint32_t)result_count);
  instance->depth--;
  return result;
}

/* Runs a function without parameters and results, if there is one of this name. False leaves a failure. */
static bool run(JNIEnv *env, jobjectArray failure, Instance *instance, const char *name) {
  const void *function = we.ModuleInstanceFindFunction(instance->made, string_of(name));
  return !function || !failed(env, failure, instance, invoke(instance, function, NULL, 0, NULL, 0));
}

NATIVE(void, instanceStart)(JNIEnv *env, jclass type, jlong handle, jlong linker, jlong module, jlong fuel, jobject host,
                            jobjectArray failure) {
  Instance *instance = (Instance *)(intptr_t)handle;
  instance->module = (Module *)(intptr_t)module;
  instance->linker = (Linker *)(intptr_t)linker;
  __atomic_add_fetch(&instance->module->holders, 1, __ATOMIC_RELAXED);
  if (linker) __atomic_add_fetch(&instance->linker->holders, 1, __ATOMIC_RELAXED);
  instance->entry = (Entry){env, type, host};
  const char *reason = register_hosts(instance) ? instantiate(instance) : "the functions of the app cannot be offered";
  if (reason) {
    fail(env, failure, CODE_ERROR, reason);
    return;
  }
  if (instance->engine->flags & FLAG_DEADLINES) make_stop(instance);
  if (set_fuel(env, failure, instance, fuel) && run(env, failure, instance, START_EXPORT))
    run(env, failure, instance, "_initialize");
}

NATIVE(void, instanceFree)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  free_instance((Instance *)(intptr_t)handle);
}

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
