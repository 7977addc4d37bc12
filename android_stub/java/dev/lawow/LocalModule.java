package dev.lawow;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Collections;

/** One module of this process: compiled once, with instances that wait for their next call. */
final class LocalModule {
    /** Idle instances keep their memory; more than a phone's big cores run at once are not worth it. */
    private static final int MOST_IDLE = 4;

    private final LocalCode code;
    private final long memoryBytes;
    private final long fuel;
    private final long timeoutNanos;
    private final ArrayDeque<Waiting> idle = new ArrayDeque<>();

    /** An instance between two calls. */
    private static final class Waiting {
        final LocalCode.Code code;
        final long instance;

        Waiting(LocalCode.Code code, long instance) {
            this.code = code;
            this.instance = instance;
        }
    }

    LocalModule(ModuleName name, int flags, Configuration configuration) {
        this.code = new LocalCode(name, null, flags, Collections.<HostCalls.Import>emptyList(), configuration);
        this.memoryBytes = configuration.memoryBytes();
        this.fuel = configuration.fuel();
        this.timeoutNanos = configuration.localTimeoutNanos();
    }

    /** Returns what is compiled of the module. */
    LocalCode code() {
        return code;
    }

    /** Calls an export in an instance that no other thread uses meanwhile. The time limit includes instantiation. */
    Object call(String export, Arguments arguments) {
        long start = System.nanoTime();
        LocalCode.Code current = code.current();
        Waiting waiting = takeIdle(current);
        long instance = waiting == null ? newInstance(current) : waiting.instance;
        boolean usable = false;
        Watchdog watchdog = current.engine.watchdog;
        Watchdog.Limit limit = watchdog == null ? null : watchdog.arm(instance, timeoutNanos);
        try {
            byte[][] failure = new byte[1][];
            if (waiting == null) {
                Native.instanceStart(instance, current.linker, current.module, fuel, null, failure);
                Native.require(failure, code.name.file);
            }
            long prepared = System.nanoTime();
            Object result = new GuestCall(code.name.file, instance, fuel, null).run(export, arguments);
            // The guest owns the memory that its cabi_realloc gave; whether it freed it, nobody knows.
            usable = !arguments.signature.needsMemory();
            Lawow.setLastTiming(Timing.local(start, prepared, System.nanoTime()));
            return result;
        } finally {
            if (limit != null) {
                watchdog.disarm(limit);
            }
            forwardOutput(instance);
            if (!usable || !keepIdle(new Waiting(current, instance))) {
                Native.instanceFree(instance);
            }
        }
    }

    private long newInstance(LocalCode.Code current) {
        byte[][] failure = new byte[1][];
        long instance = Native.instanceNew(current.engine.handle, memoryBytes, failure);
        Native.require(failure, code.name.file);
        return instance;
    }

    /** Returns an instance of this code, the newest: its memory is the warmest. Those of slower code go. */
    private Waiting takeIdle(LocalCode.Code current) {
        synchronized (idle) {
            Waiting waiting = idle.pollLast();
            while (waiting != null && waiting.code != current) {
                Native.instanceFree(waiting.instance);
                waiting = idle.pollLast();
            }
            return waiting;
        }
    }

    private boolean keepIdle(Waiting waiting) {
        synchronized (idle) {
            return idle.size() < MOST_IDLE && idle.add(waiting);
        }
    }

    private static void forwardOutput(long instance) {
        byte[] output = Native.instanceOutput(instance);
        if (output != null) {
            System.out.print(new String(output, StandardCharsets.UTF_8));
        }
    }
}
