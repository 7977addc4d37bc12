package dev.lawow;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;

/** One module of this process: compiled once, with instances that wait for their next call. */
final class LocalModule {
    /** Idle instances keep their memory; more than a phone's big cores run at once are not worth it. */
    private static final int MOST_IDLE = 4;

    private final ModuleName name;
    private final long engine;
    private final Watchdog watchdog;
    private final long memoryBytes;
    private final long fuel;
    private final long timeoutNanos;
    private final ArrayDeque<Long> idle = new ArrayDeque<>();
    private long module;

    /** {@code watchdog} is null when calls have no time limit. */
    LocalModule(ModuleName name, long engine, Watchdog watchdog, Configuration configuration) {
        this.name = name;
        this.engine = engine;
        this.watchdog = watchdog;
        this.memoryBytes = configuration.memoryBytes();
        this.fuel = configuration.fuel();
        this.timeoutNanos = configuration.localTimeoutNanos();
    }

    /** Calls an export in an instance that no other thread uses meanwhile. The time limit includes instantiation. */
    Object call(String export, Arguments arguments) {
        long start = System.nanoTime();
        long compiled = compiled();
        Long waiting = takeIdle();
        long instance = waiting == null ? newInstance() : waiting;
        boolean usable = false;
        Watchdog.Limit limit = watchdog == null ? null : watchdog.arm(instance, timeoutNanos);
        try {
            byte[][] failure = new byte[1][];
            if (waiting == null) {
                Native.instanceStart(instance, compiled, fuel, failure);
                Native.require(failure, name.file);
            }
            long prepared = System.nanoTime();
            Object result = new GuestCall(name.file, instance, fuel).run(export, arguments);
            // The guest owns the memory that its cabi_realloc gave; whether it freed it, nobody knows.
            usable = !arguments.signature.needsMemory();
            Lawow.setLastTiming(Timing.local(start, prepared, System.nanoTime()));
            return result;
        } finally {
            if (limit != null) {
                watchdog.disarm(limit);
            }
            forwardOutput(instance);
            if (!usable || !keepIdle(instance)) {
                Native.instanceFree(instance);
            }
        }
    }

    private synchronized long compiled() {
        if (module == 0) {
            byte[][] failure = new byte[1][];
            module = Native.moduleNew(engine, name.read(), failure);
            Native.require(failure, name.file);
        }
        return module;
    }

    private long newInstance() {
        byte[][] failure = new byte[1][];
        long instance = Native.instanceNew(engine, memoryBytes, failure);
        Native.require(failure, name.file);
        return instance;
    }

    private Long takeIdle() {
        synchronized (idle) {
            return idle.pollLast(); // the newest: its memory is the warmest
        }
    }

    private boolean keepIdle(long instance) {
        synchronized (idle) {
            return idle.size() < MOST_IDLE && idle.add(instance);
        }
    }

    private static void forwardOutput(long instance) {
        byte[] output = Native.instanceOutput(instance);
        if (output != null) {
            System.out.print(new String(output, StandardCharsets.UTF_8));
        }
    }
}
