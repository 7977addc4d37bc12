/* Host functions: what a module imports and Java implements. Part of lawow_jni.c. */
typedef struct {
  jint index;
  size_t results;
  char letters[]; /* of the results */
} HostFunction;

/* Native.hostCall; found when the first host function is defined. */
static jmethodID host_call;

/* Calls Native.hostCall, which throws nothing: it keeps what the function threw, and returns null. */
static bool call_java(const Entry *entry, const HostFunction *function, const wt_val *arguments, size_t count, wt_val *results) {
  JNIEnv *env = entry->env;
  jlong bits[MOST_HOST_VALUES];
  for (size_t at = 0; at < count; at++) bits[at] = get_bits(&arguments[at]);
  jlongArray given = (*env)->NewLongArray(env, (jsize)count);
  if (!given) return false; /* with Java's OutOfMemoryError pending */
  (*env)->SetLongArrayRegion(env, given, 0, (jsize)count, bits);
  jvalue values[3] = {{.l = entry->host}, {.i = function->index}, {.l = given}};
  jlongArray taken = (*env)->CallStaticObjectMethodA(env, entry->type, host_call, values);
  (*env)->DeleteLocalRef(env, given); /* a guest may call any number of times before it returns */
  if ((*env)->ExceptionCheck(env) || !taken) return false;
  (*env)->GetLongArrayRegion(env, taken, 0, (jsize)function->results, bits);
  (*env)->DeleteLocalRef(env, taken);
  for (size_t at = 0; at < function->results; at++) set_value(&results[at], function->letters[at], bits[at]);
  return true;
}

static void *on_host_call(void *data, void *caller, const wt_val *arguments, size_t count, wt_val *results, size_t result_count) {
  static const char reason[] = "a function of the app threw an exception";
  Instance *instance = wt.wasmtime_context_get_data(wt.wasmtime_caller_context(caller));
  void *outer_caller = instance->caller, *outer_context = instance->context;
  (void)result_count;
  instance->caller = caller;
  instance->context = wt.wasmtime_caller_context(caller);
  bool returned = call_java(&instance->entry, data, arguments, count, results);
  instance->caller = outer_caller;
  instance->context = outer_context;
  return returned ? NULL : wt.wasmtime_trap_new(reason, sizeof reason - 1);
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

static HostFunction *new_host_function(jint index, const char *results, size_t count) {
  HostFunction *function = malloc(sizeof *function + count + 1);
  if (!function) return NULL;
  function->index = index;
  function->results = count;
  memcpy(function->letters, results, count);
  return function;
}

NATIVE(jlong, linkerNew)(JNIEnv *env, jclass type, jlong engine, jobjectArray failure) {
  (void)type;
  void *linker = wt.wasmtime_linker_new(((Engine *)(intptr_t)engine)->engine);
  if (!failed(env, failure, NULL, wt.wasmtime_linker_define_wasi(linker), NULL)) return (jlong)(intptr_t)linker;
  wt.wasmtime_linker_delete(linker);
  return 0;
}

NATIVE(void, linkerDefine)(JNIEnv *env, jclass type, jlong linker, jbyteArray module, jbyteArray name, jbyteArray signature,
                           jint index, jobjectArray failure) {
  size_t module_size = 0, name_size = 0, size = 0, arrow = 0;
  if (!host_call) host_call = (*env)->GetStaticMethodID(env, type, "hostCall", "(Ljava/lang/Object;I[J)[J");
  if (!host_call) return; /* with NoSuchMethodError pending: a shrinker has taken it away */
  char *module_text = (char *)copy_bytes(env, module, &module_size);
  char *name_text = (char *)copy_bytes(env, name, &name_size);
  char *text = (char *)copy_bytes(env, signature, &size);
  while (text && text[arrow] != '>') arrow++; /* Java gives only what it has parsed */
  bool fits = text && arrow <= MOST_HOST_VALUES && size - arrow - 1 <= MOST_HOST_VALUES;
  HostFunction *function = fits ? new_host_function(index, text + arrow + 1, size - arrow - 1) : NULL;
  if (!function || !module_text || !name_text) {
    fail(env, failure, CODE_ERROR, "no memory for a host function, or too many values");
    free(function);
  } else {
    void *functype = new_functype(text, arrow, size);
    void *error = wt.wasmtime_linker_define_func(
        (void *)(intptr_t)linker, module_text, module_size, name_text, name_size, functype, on_host_call, function,
        free_host_function);
    wt.wasm_functype_delete(functype);
    failed(env, failure, NULL, error, NULL);
  }
  free(module_text);
  free(name_text);
  free(text);
}

NATIVE(void, linkerFree)(JNIEnv *env, jclass type, jlong linker) {
  (void)env;
  (void)type;
  wt.wasmtime_linker_delete((void *)(intptr_t)linker);
}
