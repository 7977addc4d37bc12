package dev.lawow;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;

/** One module of this process: compiled once, with instances that wait for their next call. */
final class LocalModule {
    /** Idle instances keep their memory; more than a phone's big cores run at once are not worth it. */
    private static final int MOST_IDLE = 4;

    private final ModuleCode code;
    private final long memoryBytes;
    private final long fuel;
    private final long timeoutNanos;
    private final ArrayDeque<Waiting> idle = new ArrayDeque<>();

    /** An instance between two calls. */
    private static final class Waiting {
        final GuestCode code;
        final Guest guest;

        Waiting(GuestCode code, Guest guest) {
            this.code = code;
            this.guest = guest;
        }
    }

    /** {@code timeoutNanos} is 0 if the code has no deadlines; then calls cannot be stopped. */
    LocalModule(ModuleCode code, Configuration configuration, long timeoutNanos) {
        this.code = code;
        this.memoryBytes = configuration.memoryBytes();
        this.fuel = configuration.fuel();
        this.timeoutNanos = timeoutNanos;
    }

    /**
     * Calls an export in an instance that no other thread uses meanwhile. The time limit includes instantiation. {@code
     * cancel} ends the call, too, unless it is null.
     */
    Object call(String export, Arguments arguments, Cancel cancel) {
        long start = System.nanoTime();
        GuestCode current = code.current();
        Waiting waiting = takeIdle(current);
        Guest guest = waiting == null ? current.newGuest(memoryBytes, fuel, null) : waiting.guest;
        boolean usable = false;
        Watchdog.Limit limit = timeoutNanos == 0 ? null : Watchdog.SHARED.arm(guest, timeoutNanos);
        try {
            if (cancel != null && limit != null) {
                cancel.onSet(limit);
            }
            if (waiting == null) {
                guest.start();
            }
            long prepared = System.nanoTime();
            Object result = new GuestCall(code.name.file, guest).run(export, arguments);
            // The guest owns the memory that its cabi_realloc gave; whether it freed it, nobody knows.
            usable = !arguments.signature.needsMemory();
            Lawow.setLastTiming(Timing.local(start, prepared, System.nanoTime()));
            return result;
        } finally {
            if (limit != null) {
                Watchdog.SHARED.disarm(limit);
            }
            forwardOutput(guest);
            if (!usable || !keepIdle(new Waiting(current, guest))) {
                guest.free();
            }
        }
    }

    /** Returns an instance of this code, the newest: its memory is the warmest. Those of slower code go. */
    private Waiting takeIdle(GuestCode current) {
        synchronized (idle) {
            Waiting waiting = idle.pollLast();
            while (waiting != null && waiting.code != current) {
                waiting.guest.free();
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

    private static void forwardOutput(Guest guest) {
        byte[] output = guest.output();
        if (output != null) {
            System.out.print(new String(output, StandardCharsets.UTF_8));
        }
    }
}
