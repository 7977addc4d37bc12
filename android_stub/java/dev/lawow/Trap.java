package dev.lawow;

/** The WebAssembly guest trapped, here or on the edge. The instance that trapped is not used again. */
public final class Trap extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Names of the engine's trap codes, in the engine's order. */
    private static final String[] CODES = {
        "stack-overflow",
        "memory-out-of-bounds",
        "heap-misaligned",
        "table-out-of-bounds",
        "indirect-call-to-null",
        "bad-signature",
        "integer-overflow",
        "integer-divide-by-zero",
        "bad-conversion-to-integer",
        "unreachable",
        "interrupt",
        "out-of-fuel",
        "atomic-wait-non-shared-memory",
        "null-reference",
        "array-out-of-bounds",
        "allocation-too-large",
        "cast-failure",
    };

    private static final int UNCAUGHT_EXCEPTION = 49;

    private final String code;

    Trap(String code, String message) {
        super(message);
        this.code = code;
    }

    /** Names a trap code of the engine; codes that core modules cannot raise are all {@code "unknown"}. */
    static String nameOf(int number) {
        if (number == UNCAUGHT_EXCEPTION) {
            return "uncaught-exception";
        }
        return number >= 0 && number < CODES.length ? CODES[number] : "unknown";
    }

    /**
     * Returns the trap's name in kebab-case, {@code "integer-divide-by-zero"} for instance; {@code "interrupt"} when
     * the deadline passed, {@code "exit"} when the guest ended itself, {@code "out-of-memory"} when it has no memory for
     * an argument, {@code "bad-result"} when it returned a text that is none.
     */
    public String code() {
        return code;
    }
}
