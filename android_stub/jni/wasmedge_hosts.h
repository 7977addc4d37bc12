/* Host functions: what the app offers, with WASI beside it, and the values that cross. Part of lawow_wasmedge.c. */

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
