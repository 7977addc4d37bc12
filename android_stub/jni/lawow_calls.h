/* Calls of exports and access to the guest's memory: the same for every engine, which brings `Instance`, with `output` in
 * it, and `Function`, and what is declared here. */

/* Find an export that Java may use; while a host function runs, that of the module that calls it. The memory's size, and
 * where it lies until the guest runs again (NULL if it is empty). */
static bool find_function(Instance *instance, const char *name, size_t size, Function *function);
static bool find_memory(Instance *instance, uint8_t **data, size_t *size);

/* Whether the function's type is exactly the signature's; `parameters` is where its > stands. */
static bool signature_fits(Instance *instance, const Function *function, const uint8_t *signature, size_t size,
                           size_t parameters);

/* Gives an outermost call its fuel. False leaves a failure. */
static bool set_fuel(JNIEnv *env, jobjectArray failure, Instance *instance, jlong fuel);

/* Calls; NULL leaves a failure or a pending Java exception. */
static jlongArray call_with(Entry entry, Instance *instance, const Function *function, const uint8_t *signature,
                            size_t parameters, size_t results, jlongArray arguments, jobjectArray failure);

NATIVE(jlongArray, instanceCall)(JNIEnv *env, jclass type, jlong handle, jbyteArray export, jbyteArray signature,
                                 jlongArray arguments, jlong fuel, jobject host, jobjectArray failure) {
  Instance *instance = (Instance *)(intptr_t)handle;
  jlongArray array = NULL;
  Function function;
  size_t name_size = 0, size = 0, parameters = 0;
  uint8_t *name = copy_bytes(env, export, &name_size);
  uint8_t *text = copy_bytes(env, signature, &size);
  size_t given = (size_t)(*env)->GetArrayLength(env, arguments);
  while (text && parameters < size && text[parameters] != '>') parameters++;
  if (!name || !text) {
    fail(env, failure, CODE_ERROR, "no memory for the call");
  } else if (parameters == size || parameters != given || size - 1 > 2 * MOST_VALUES) {
    fail(env, failure, CODE_MISFIT, "the arguments do not fit the signature");
  } else if (!find_function(instance, (const char *)name, name_size, &function)) {
    fail(env, failure, CODE_MISFIT, "the module exports no function of this name");
  } else if (!signature_fits(instance, &function, text, size, parameters)) {
    fail(env, failure, CODE_MISFIT, "the exported function has another signature");
  } else if (set_fuel(env, failure, instance, fuel)) {
    array = call_with((Entry){env, type, host}, instance, &function, text, parameters, size - parameters - 1, arguments, failure);
  }
  free(name);
  free(text);
  return array;
}

NATIVE(jboolean, instanceHas)(JNIEnv *env, jclass type, jlong handle, jbyteArray export) {
  (void)type;
  Function function;
  size_t size = 0;
  uint8_t *name = copy_bytes(env, export, &size);
  bool found = name && find_function((Instance *)(intptr_t)handle, (const char *)name, size, &function);
  free(name);
  return found;
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

/* Returns where `size` bytes of the guest's memory lie, until the guest runs again; NULL leaves a failure. */
static uint8_t *guest_bytes(JNIEnv *env, jobjectArray failure, Instance *instance, jlong address, size_t size) {
  static uint8_t nothing; /* an empty memory has no address */
  uint8_t *data = NULL;
  size_t room = 0;
  if (!find_memory(instance, &data, &room)) {
    fail(env, failure, CODE_MISFIT, "the module exports no memory");
    return NULL;
  }
  if (address < 0 || (uint64_t)address > room || size > room - (uint64_t)address) {
    fail(env, failure, TRAP_MEMORY_OUT_OF_BOUNDS, "a string or list lies outside of the memory");
    return NULL;
  }
  return data ? data + address : &nothing;
}

NATIVE(jlong, instanceMemoryBytes)(JNIEnv *env, jclass type, jlong handle) {
  (void)env;
  (void)type;
  uint8_t *data = NULL;
  size_t size = 0;
  return find_memory((Instance *)(intptr_t)handle, &data, &size) ? (jlong)size : 0;
}

NATIVE(jbyteArray, instanceRead)(JNIEnv *env, jclass type, jlong handle, jlong address, jint bytes, jobjectArray failure) {
  (void)type;
  uint8_t *from = guest_bytes(env, failure, (Instance *)(intptr_t)handle, address, (size_t)bytes);
  jbyteArray array = from ? (*env)->NewByteArray(env, bytes) : NULL;
  if (array) (*env)->SetByteArrayRegion(env, array, 0, bytes, (const jbyte *)from);
  return array;
}

NATIVE(void, instanceWrite)(JNIEnv *env, jclass type, jlong handle, jlong address, jbyteArray data, jobjectArray failure) {
  (void)type;
  jsize size = (*env)->GetArrayLength(env, data);
  uint8_t *to = guest_bytes(env, failure, (Instance *)(intptr_t)handle, address, (size_t)size);
  if (to) (*env)->GetByteArrayRegion(env, data, 0, size, (jbyte *)to);
}

NATIVE(jbyteArray, instanceOutput)(JNIEnv *env, jclass type, jlong handle) {
  (void)type;
  Output *output = &((Instance *)(intptr_t)handle)->output;
  jsize size = (jsize)output->bytes;
  if (!size) return NULL;
  jbyteArray array = (*env)->NewByteArray(env, size);
  if (array) (*env)->SetByteArrayRegion(env, array, 0, size, (const jbyte *)output->data);
  output->bytes = 0;
  return array;
}
