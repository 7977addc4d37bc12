/* What the glue over WasmEdge holds: its functions, modules, offers and instances. Part of lawow_wasmedge.c. */

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
