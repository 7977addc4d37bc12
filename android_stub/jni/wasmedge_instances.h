/* Instances: their limits of memory, fuel and time, how they begin and end. Part of lawow_wasmedge.c. */

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
