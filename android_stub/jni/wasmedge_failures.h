/* How a guest of WasmEdge ended, in the words of dev.lawow.Trap. Part of lawow_wasmedge.c. */

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
