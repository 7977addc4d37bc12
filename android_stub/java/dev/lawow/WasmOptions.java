package dev.lawow;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Limits and surroundings of a module's instances. Immutable; may be shared. The defaults are those of {@link
 * Configuration}: 256 MiB of memory, no fuel, no deadline, output to {@link System#out}.
 *
 * <p>No parameter of the builder may be null.
 */
public final class WasmOptions {
    final long memoryBytes;
    final long fuel;
    final long deadlineNanos;
    final OutputListener output;
    final List<HostCalls.Import> imports;

    private WasmOptions(Builder builder) {
        this.memoryBytes = builder.memoryBytes;
        this.fuel = builder.fuel;
        this.deadlineNanos = builder.deadlineNanos;
        this.output = builder.output;
        this.imports = Collections.unmodifiableList(new ArrayList<>(builder.imports));
    }

    /** Returns the defaults. Throws {@link IllegalStateException} if the app's configuration is broken. */
    public static WasmOptions defaults() {
        return new Builder().build();
    }

    /** Collects options; not for several threads at once. */
    public static final class Builder {
        private static final long NANOS_PER_MILLI = 1000000L;
        private static final long MOST_MILLIS = 24L * 60 * 60 * 1000;

        private long memoryBytes;
        private long fuel;
        private long deadlineNanos;
        private final List<HostCalls.Import> imports = new ArrayList<>();

        private OutputListener output = new OutputListener() {
            @Override
            public void onOutput(byte[] bytes) {
                System.out.print(new String(bytes, StandardCharsets.UTF_8));
            }
        };

        /** Begins with the defaults. Throws {@link IllegalStateException} if the app's configuration is broken. */
        public Builder() {
            Configuration configuration = Configuration.load();
            memoryBytes = configuration.memoryBytes();
            fuel = configuration.fuel();
            deadlineNanos = configuration.localTimeoutNanos();
        }

        /** Sets the most linear memory of an instance, in bytes, 1 or more. Growing beyond it fails in the guest. */
        public Builder memoryBytes(long bytes) {
            memoryBytes = positive("memoryBytes", bytes, Long.MAX_VALUE);
            return this;
        }

        /**
         * Sets the fuel of each call, 1 or more; an instruction uses about one unit. The call that has used it up ends with
         * the trap {@code out-of-fuel}. Costs about half of the speed.
         */
        public Builder fuel(long units) {
            fuel = positive("fuel", units, Long.MAX_VALUE);
            return this;
        }

        /**
         * Sets the longest time of each call in milliseconds, 1 to 86,400,000; the start of an instance is a call. The call
         * that takes longer ends with the trap {@code interrupt}. Costs a fifth to a half of the speed.
         */
        public Builder deadlineMillis(long millis) {
            deadlineNanos = NANOS_PER_MILLI * positive("deadlineMillis", millis, MOST_MILLIS);
            return this;
        }

        /** Sets who hears what the guest writes, instead of {@link System#out}. */
        public Builder output(OutputListener listener) {
            if (listener == null) {
                throw new NullPointerException("listener");
            }
            output = listener;
            return this;
        }

        /**
         * Offers a function to modules that import it.
         *
         * @param module the import's module, {@code env} for instance
         * @param name the import's name
         * @param signature types as in {@link Target#call}; a string or list is an address and a count for the guest.
         *     At most 32 values on each side; results are numbers, and no list comes back
         * @throws IllegalArgumentException it is no such signature
         */
        public Builder hostFunction(String module, String name, String signature, HostFunction function) {
            imports.add(new HostCalls.Import(module, name, signature, function));
            return this;
        }

        /** Returns the options. */
        public WasmOptions build() {
            return new WasmOptions(this);
        }

        private static long positive(String what, long value, long maximum) {
            if (value < 1 || value > maximum) {
                throw new IllegalArgumentException(what + ": found " + value + ", allowed is 1 to " + maximum);
            }
            return value;
        }
    }
}
