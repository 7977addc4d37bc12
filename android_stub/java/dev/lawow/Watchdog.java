package dev.lawow;

import java.util.PriorityQueue;

/** Ends calls whose time is up: one thread that sleeps until the earliest limit, and costs nothing before. */
final class Watchdog implements Runnable {
    /** Of the whole process. */
    static final Watchdog SHARED = new Watchdog();

    private static final long NANOS_PER_MILLI = 1000000L;

    private final PriorityQueue<Limit> limits = new PriorityQueue<>();
    private boolean started;

    /** The time limit of one call. */
    static final class Limit implements Comparable<Limit> {
        private final Guest guest;
        private final long end;

        private Limit(Guest guest, long end) {
            this.guest = guest;
            this.end = end;
        }

        @Override
        public int compareTo(Limit other) {
            return Long.signum(end - other.end); // nanoTime may wrap around; differences do not
        }
    }

    private Watchdog() {}

    /** Begins a limit for an idle instance; it must be disarmed before the instance is used otherwise or freed. */
    synchronized Limit arm(Guest guest, long nanos) {
        if (!started) {
            Thread thread = new Thread(this, "lawow-watchdog");
            thread.setDaemon(true);
            thread.start();
            started = true;
        }
        guest.arm();
        Limit limit = new Limit(guest, System.nanoTime() + nanos);
        limits.add(limit);
        if (limits.peek() == limit) {
            notifyAll();
        }
        return limit;
    }

    /** Takes a limit back; afterwards the watchdog does not touch the instance. */
    synchronized void disarm(Limit limit) {
        limits.remove(limit);
    }

    /** Ends a limit before its time, and with it what runs in the instance; nothing if it was disarmed. */
    synchronized void expire(Limit limit) {
        if (limits.remove(limit)) {
            limit.guest.expire();
        }
    }

    @Override
    public synchronized void run() {
        while (true) {
            try {
                waitForEarliest();
            } catch (InterruptedException error) {
                continue; // nobody has a reason to interrupt this thread; the limits must go on
            }
            limits.remove().guest.expire();
        }
    }

    /** Returns when the earliest limit, which is then the queue's head, is over. */
    private void waitForEarliest() throws InterruptedException {
        while (true) {
            Limit earliest = limits.peek();
            if (earliest == null) {
                wait();
                continue;
            }
            long left = earliest.end - System.nanoTime();
            if (left <= 0) {
                return;
            }
            wait(left / NANOS_PER_MILLI + 1);
        }
    }
}
