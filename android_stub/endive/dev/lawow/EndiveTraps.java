package dev.lawow;

import run.endive.runtime.WasmInterruptedException;
import run.endive.wasm.InvalidException;
import run.endive.wasm.MalformedException;
import run.endive.wasm.UnlinkableException;
import run.endive.wasm.WasmEngineException;

/** Endive's exceptions as {@link Trap}: it tells its traps apart by their text only, which is the specification's. */
final class EndiveTraps {
    /** How a message begins, and the code that goes with it. */
    private static final String[][] CODES = {
        {"Trapped on unreachable", "unreachable"},
        {"integer divide by zero", "integer-divide-by-zero"},
        {"integer overflow", "integer-overflow"},
        {"invalid conversion to integer", "bad-conversion-to-integer"},
        {"out of bounds memory access", "memory-out-of-bounds"},
        {"out of bounds table access", "table-out-of-bounds"},
        {"undefined element", "table-out-of-bounds"},
        {"uninitialized element", "indirect-call-to-null"},
        {"indirect call type mismatch", "bad-signature"},
        {"call stack exhausted", "stack-overflow"},
        {"out of bounds array access", "array-out-of-bounds"},
        {"cast failure", "cast-failure"},
        {"null ", "null-reference"},
        {"Trapped on ref_as_non_null", "null-reference"},
        {"Trapped on call_ref", "null-reference"},
    };

    private EndiveTraps() {}

    /** Returns what to throw in place of the error; {@code subject} begins the message. */
    static RuntimeException of(String subject, WasmEngineException error) {
        String text = String.valueOf(error.getMessage());
        if (error instanceof UnlinkableException || error instanceof MalformedException || error instanceof InvalidException) {
            return new IllegalStateException(subject + ": " + text, error);
        }
        return new Trap(code(error, text), subject + ": the guest trapped: " + text);
    }

    private static String code(WasmEngineException error, String text) {
        if (error instanceof WasmInterruptedException) {
            return "interrupt";
        }
        for (String[] known : CODES) {
            if (text.startsWith(known[0])) {
                return known[1];
            }
        }
        return "unknown";
    }
}
