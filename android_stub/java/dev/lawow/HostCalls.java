package dev.lawow;

import java.util.List;

/** The host functions of one instance, as the native library calls them: by number, with bits, never throwing. */
final class HostCalls {
    private static final long LOW_HALF = 0xffffffffL;

    private final List<Import> imports;
    private final WasmInstance instance;
    private Throwable thrown;
    private Throwable last;

    /** One function that modules may import: {@code module.name} in the module's own words. */
    static final class Import {
        final String module;
        final String name;
        final Signature signature;
        final HostFunction function;

        /** Throws {@link IllegalArgumentException} for a signature that no host function can have. */
        Import(String module, String name, String signature, HostFunction function) {
            if (module == null || name == null || function == null) {
                throw new NullPointerException("a host function needs a module, a name and a function");
            }
            this.module = module;
            this.name = name;
            this.signature = Signature.parse(signature);
            this.function = function;
            boolean givesNumbers = true;
            for (ValueType type : this.signature.results) {
                givesNumbers &= type.isScalar();
            }
            if (!givesNumbers || signature.indexOf('&') >= 0) {
                throw new IllegalArgumentException(
                    module + "." + name + ": " + signature + ": a host function's results are numbers, and no list comes back;"
                        + " write into the caller's memory instead");
            }
        }
    }

    /** Ends a guest whose host function threw, in an engine that unwinds by exceptions; {@link #rethrow} has the cause. */
    static final class Thrown extends RuntimeException {
        private static final long serialVersionUID = 1;

        Thrown() {
            super("a host function threw");
        }

        @Override
        public synchronized Throwable fillInStackTrace() {
            return this; // nobody looks at it
        }
    }

    HostCalls(List<Import> imports, WasmInstance instance) {
        this.imports = imports;
        this.instance = instance;
    }

    /** Calls a function; null if it threw, which {@link #rethrow} then throws where the guest's caller is. */
    long[] call(int index, long[] bits) {
        try {
            Import called = imports.get(index);
            return results(called, called.function.call(instance, arguments(called.signature, bits)));
        } catch (Throwable error) { // an Error as well: native frames cannot be unwound
            thrown = error;
            last = error;
            return null;
        }
    }

    private Object[] arguments(Signature signature, long[] bits) {
        ValueType[] types = signature.parameters;
        Object[] arguments = new Object[types.length];
        int next = 0;
        for (int at = 0; at < types.length; at++) {
            if (types[at].isScalar()) {
                arguments[at] = Signature.fromBits(types[at].letter, bits[next++]);
            } else {
                arguments[at] = instance.lift(types[at], bits[next] & LOW_HALF, bits[next + 1] & LOW_HALF);
                next += 2;
            }
        }
        return arguments;
    }

    private static long[] results(Import called, Object result) {
        ValueType[] types = called.signature.results;
        if (types.length == 0) {
            return new long[0]; // whatever was returned: a Kotlin function gives Unit
        }
        Object[] values = types.length == 1 ? new Object[] {result} : (Object[]) result;
        int given = values == null ? 0 : values.length;
        if (given != types.length) {
            throw new IllegalStateException(
                called.module + "." + called.name + " gave " + given + " results, its signature has " + types.length);
        }
        long[] bits = new long[types.length];
        for (int at = 0; at < bits.length; at++) {
            bits[at] = called.signature.toBits(types[at].letter, values[at], at);
        }
        return bits;
    }

    /** Tells whether this very exception came out of a host function. */
    boolean hasThrown(Throwable error) {
        return last == error;
    }

    /** Throws what a host function threw since the last time, whatever its class; returns if none did. */
    void rethrow() {
        Throwable error = thrown;
        thrown = null;
        if (error != null) {
            HostCalls.<RuntimeException>asUnchecked(error);
        }
    }

    /** Java checks exceptions in the compiler only; Kotlin has no checked ones at all. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void asUnchecked(Throwable error) throws T {
        throw (T) error;
    }
}
