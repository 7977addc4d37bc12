package dev.lawow;

/**
 * A call's end, asked for from another thread: what hedging tells the place that was slower. Set once. A guest in this
 * process is stopped at once, by its {@link Watchdog}; what cannot be stopped runs to its end unseen.
 */
final class Cancel {
    private boolean isSet;
    private Watchdog.Limit limit;

    /** Tells whether it was set. */
    synchronized boolean isSet() {
        return isSet;
    }

    /** Ends the guest that runs for the call, if one does, and any that would begin. */
    synchronized void set() {
        isSet = true;
        if (limit != null) {
            Watchdog.SHARED.expire(limit);
        }
    }

    /** Leaves the limit of a guest that begins to run; it is over at once if it is too late to leave it. */
    synchronized void onSet(Watchdog.Limit begun) {
        limit = begun;
        if (isSet) {
            Watchdog.SHARED.expire(begun);
        }
    }
}
