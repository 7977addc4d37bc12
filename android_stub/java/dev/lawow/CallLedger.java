package dev.lawow;

/**
 * Something in which calls of elastic functions are entered: {@link EnergyLedger}. Functions know no more of it than this,
 * so that an app without one does not carry it.
 */
public abstract class CallLedger {
    CallLedger() {}

    /** Enters a call that has returned. Any thread may do so. */
    abstract void enter(CallSize call, boolean isRemote, long startNanos, long endNanos);
}
