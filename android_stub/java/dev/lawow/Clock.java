package dev.lawow;

/** A clock whose beginning means nothing; tests turn one of their own. */
abstract class Clock {
    /** The system's, which never goes back. */
    static final Clock SYSTEM = new Clock() {
        @Override
        long nanos() {
            return System.nanoTime();
        }
    };

    /** Returns nanoseconds; only differences mean something. */
    abstract long nanos();
}
