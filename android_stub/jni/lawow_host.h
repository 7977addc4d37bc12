/* Host functions: what a module imports and Java implements. The same for every engine, which converts the values. */

typedef struct {
  jint index;
  size_t results;
  char letters[]; /* of the results */
} HostFunction;

/* Native.hostCall; found when the first host function is defined. */
static jmethodID host_call;

/* Calls Native.hostCall, which throws nothing: it keeps what the function threw, and returns null. The results come in
 * place of the arguments. */
static bool call_java(const Entry *entry, const HostFunction *function, jlong *bits, size_t count) {
  JNIEnv *env = entry->env;
  jlongArray given = (*env)->NewLongArray(env, (jsize)count);
  if (!given) return false; /* with Java's OutOfMemoryError pending */
  (*env)->SetLongArrayRegion(env, given, 0, (jsize)count, bits);
  jvalue values[3] = {{.l = entry->host}, {.i = function->index}, {.l = given}};
  jlongArray taken = (*env)->CallStaticObjectMethodA(env, entry->type, host_call, values);
  (*env)->DeleteLocalRef(env, given); /* a guest may call any number of times before it returns */
  if ((*env)->ExceptionCheck(env) || !taken) return false;
  (*env)->GetLongArrayRegion(env, taken, 0, (jsize)function->results, bits);
  (*env)->DeleteLocalRef(env, taken);
  return true;
}

static HostFunction *new_host_function(jint index, const char *results, size_t count) {
  HostFunction *function = malloc(sizeof *function + count + 1);
  if (!function) return NULL;
  function->index = index;
  function->results = count;
  memcpy(function->letters, results, count);
  return function;
}

/* A name of an import, or a signature such as "iI>F"; not owned. */
typedef struct {
  const char *data;
  size_t size;
} Text;

/* The engine's part: offers the function, which it owns from now on; `arrow` is where the > of the signature stands. */
static void define_function(JNIEnv *env, jobjectArray failure, jlong linker, Text module, Text name, Text signature,
                            size_t arrow, HostFunction *function);

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
    define_function(env, failure, linker, (Text){module_text, module_size}, (Text){name_text, name_size},
                    (Text){text, size}, arrow, function);
  }
  free(module_text);
  free(name_text);
  free(text);
}
