/* wasmtime's functions and layouts, as its C API has them in version 50.0 on 64-bit machines. Part of lawow_jni.c. */
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
