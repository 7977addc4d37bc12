/* Modules: only what `lawow pack` has prepared is read, and nothing is compiled. Part of lawow_wasmedge.c. */

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
