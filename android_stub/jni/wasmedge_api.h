/* WasmEdge's functions and layouts, as its C API has them in version 0.14.1 on 64-bit machines. Part of lawow_wasmedge.c.
 *
 * Definition: wasmedge.h of that version. Structures pass by value where they do there.
 */
typedef struct {
  uint32_t code; /* a category in the highest 8 bits, 0 for WasmEdge's own */
} we_result;
typedef struct {
  uint8_t data[8];
} we_type;
typedef struct {
  uint64_t low, high;
  we_type type;
} __attribute__((aligned(16))) we_value;
typedef struct {
  uint32_t length;
  const char *data;
} we_string;
typedef struct {
  bool has_maximum, is_shared;
  uint32_t minimum, maximum;
} we_limit;
_Static_assert(sizeof(we_value) == 32 && sizeof(we_limit) == 12, "layout of WasmEdge's C API");
_Static_assert(sizeof(we_string) == 16 && sizeof(we_type) == 8, "layout of WasmEdge's C API");

/* Codes of enum.inc. */
enum { WE_DONE = 0, WE_TERMINATED = 0x01, WE_COST_EXCEEDED = 0x03, WE_INTERRUPTED = 0x07, WE_UNREACHABLE = 0x40a,
       WE_HOST_FAILED = 0x40e };

typedef we_result (*we_callback)(void *, const void *, const we_value *, we_value *);

#define WE_VERSION "0.14.1"

/* X(return type, name, parameters): every function that the glue takes by dlsym, as WasmEdge_NAME. `lawow pack` reads
 * this list, too: a library that lacks one of them is refused. */
#define WE_API(X) \
  X(const char *, VersionGet, (void)) \
  X(void, LogOff, (void)) \
  X(const char *, ResultGetMessage, (we_result)) \
  X(void *, ConfigureCreate, (void)) \
  X(void, ConfigureDelete, (void *)) \
  X(void, ConfigureSetForceInterpreter, (void *, bool)) \
  X(void, ConfigureSetMaxMemoryPage, (void *, uint32_t)) \
  X(void, ConfigureStatisticsSetCostMeasuring, (void *, bool)) \
  X(void *, StatisticsCreate, (void)) \
  X(void, StatisticsDelete, (void *)) \
  X(void, StatisticsSetCostLimit, (void *, uint64_t)) \
  X(uint64_t, StatisticsGetTotalCost, (const void *)) \
  X(void *, LoaderCreate, (const void *)) \
  X(void, LoaderDelete, (void *)) \
  X(we_result, LoaderParseFromBuffer, (void *, void **, const uint8_t *, uint32_t)) \
  X(void *, ValidatorCreate, (const void *)) \
  X(void, ValidatorDelete, (void *)) \
  X(we_result, ValidatorValidate, (void *, const void *)) \
  X(void, ASTModuleDelete, (void *)) \
  X(uint32_t, ASTModuleListExportsLength, (const void *)) \
  X(uint32_t, ASTModuleListExports, (const void *, const void **, uint32_t)) \
  X(we_string, ExportTypeGetExternalName, (const void *)) \
  X(const void *, ExportTypeGetMemoryType, (const void *, const void *)) \
  X(void *, StoreCreate, (void)) \
  X(void, StoreDelete, (void *)) \
  X(void *, ExecutorCreate, (const void *, void *)) \
  X(void, ExecutorDelete, (void *)) \
  X(we_result, ExecutorRegisterImport, (void *, void *, const void *)) \
  X(we_result, ExecutorInstantiate, (void *, void **, void *, const void *)) \
  X(we_result, ExecutorInvoke, (void *, const void *, const we_value *, uint32_t, we_value *, uint32_t)) \
  X(void *, ExecutorAsyncInvoke, (void *, const void *, const we_value *, uint32_t)) \
  X(we_result, AsyncGet, (const void *, we_value *, uint32_t)) \
  X(void, AsyncCancel, (void *)) \
  X(void, AsyncDelete, (void *)) \
  X(void *, ModuleInstanceCreate, (we_string)) \
  X(void, ModuleInstanceDelete, (void *)) \
  X(void, ModuleInstanceAddFunction, (void *, we_string, void *)) \
  X(const void *, ModuleInstanceFindFunction, (const void *, we_string)) \
  X(const void *, ModuleInstanceFindMemory, (const void *, we_string)) \
  X(void *, FunctionTypeCreate, (const we_type *, uint32_t, const we_type *, uint32_t)) \
  X(void, FunctionTypeDelete, (void *)) \
  X(uint32_t, FunctionTypeGetParametersLength, (const void *)) \
  X(uint32_t, FunctionTypeGetParameters, (const void *, we_type *, uint32_t)) \
  X(uint32_t, FunctionTypeGetReturnsLength, (const void *)) \
  X(uint32_t, FunctionTypeGetReturns, (const void *, we_type *, uint32_t)) \
  X(void *, FunctionInstanceCreate, (const void *, we_callback, void *, uint64_t)) \
  X(const void *, FunctionInstanceGetFunctionType, (const void *)) \
  X(we_limit, MemoryTypeGetLimit, (const void *)) \
  X(uint32_t, MemoryInstanceGetPageSize, (const void *)) \
  X(uint8_t *, MemoryInstanceGetPointer, (const void *, uint32_t, uint32_t)) \
  X(we_type, ValTypeGenI32, (void)) \
  X(we_type, ValTypeGenI64, (void)) \
  X(we_type, ValTypeGenF32, (void)) \
  X(we_type, ValTypeGenF64, (void)) \
  X(bool, ValTypeIsI32, (we_type)) \
  X(bool, ValTypeIsI64, (we_type)) \
  X(bool, ValTypeIsF32, (we_type)) \
  X(bool, ValTypeIsF64, (we_type))
