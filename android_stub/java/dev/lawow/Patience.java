package dev.lawow;

/** How long a lost connection is worth another try, with pauses that grow. Used by one thread. */
final class Patience {
    private static final long RESUME_NANOS = 10000000000L;
    private static final int FIRST_PAUSE_MILLIS = 50;
    private static final int MOST_PAUSE_MILLIS = 1000;

    private final long ends = System.nanoTime() + RESUME_NANOS;
    private int pauseMillis = FIRST_PAUSE_MILLIS;

    /** Tells whether it is over. */
    boolean isOver() {
        return System.nanoTime() - ends > 0;
    }

    /** Waits before the next try. */
    void pause() {
        try {
            Thread.sleep(pauseMillis);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt(); // nobody has a reason to; the tries that are left follow at once
        }
        pauseMillis = Math.min(2 * pauseMillis, MOST_PAUSE_MILLIS);
    }
}
