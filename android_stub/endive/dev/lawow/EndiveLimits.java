package dev.lawow;

import run.endive.runtime.ExecutionListener;
import run.endive.runtime.MStack;
import run.endive.wasm.types.Instruction;

/** Counts the instructions of an instance, and ends it when the fuel is used up or the time is over. */
final class EndiveLimits implements ExecutionListener {
    private final long fuel;
    private long left = Long.MAX_VALUE;
    private volatile boolean expired;

    /** {@code fuel} is that of each call, or 0. */
    EndiveLimits(long fuel) {
        this.fuel = fuel;
    }

    /** Ends the guest. Knows neither messages nor traces: it is turned into a {@link Trap}, outside of the guest. */
    static final class Stop extends RuntimeException {
        private static final long serialVersionUID = 1;
        final String code;

        private Stop(String code) {
            super(code, null, false, false);
            this.code = code;
        }
    }

    /** Fills the fuel up: an outermost call begins. */
    void refuel() {
        left = fuel == 0 ? Long.MAX_VALUE : fuel;
    }

    void arm() {
        expired = false;
    }

    void expire() {
        expired = true;
    }

    @Override
    public void onExecution(Instruction instruction, MStack stack) {
        if (--left < 0) {
            throw new Stop("out-of-fuel");
        }
        if (expired) {
            throw new Stop("interrupt");
        }
    }
}
