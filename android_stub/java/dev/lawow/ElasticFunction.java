package dev.lawow;

import java.util.concurrent.Callable;
import java.util.concurrent.Future;

/**
 * A function that runs on this device or on the edge; a call looks the same here and there. If the edge gives no result,
 * the call runs here if it was not started there; if nobody knows, it runs here only if it is idempotent. Traps and
 * deadlines are results, and no reason to run again. It keeps no state between calls. Any thread may call it.
 *
 * <pre>{@code
 * ElasticFunction square = new ElasticFunction.Builder("square.wasm@" + digest, "square", "i>i").idempotent(true).build();
 * int result = (Integer) square.call(12);
 * Future<Object> later = square.callAsync(13);
 * }</pre>
 */
public final class ElasticFunction {
    private static final double NANOS = 1e9;
    private static final int NANOS_PER_MILLI = 1000000;

    private final String module;
    private final String digest;
    private final String export;
    private final Signature signature;
    private final Version here;
    private final ElasticPolicy policy;
    private final boolean idempotent;
    private final long deadlineMillis;
    private final Hedge hedge;
    private final Breaker breaker;
    private final Shadow shadow;
    private final CallLedger ledger;
    private final Attempt local = new Here();
    private final Attempt remote = new There();
    private final Attempt sent = new Sent();
    private volatile boolean lastRemote;
    private volatile String mismatch;

    /** What runs on this device in the place of the module; it must do the same. */
    public interface Version {
        /** As {@link ElasticFunction#call}. */
        Object call(Object... arguments);
    }

    /** Says what a function is. */
    public static final class Builder {
        private final String module;
        private final String export;
        private final String signature;
        private Version here;
        private ElasticPolicy policy = ElasticPolicy.automatic();
        private boolean idempotent;
        private long deadlineMillis;
        private Hedge hedge;
        private Breaker breaker;
        private Shadow shadow;
        private CallLedger ledger;

        /** {@code module}, {@code export} and {@code signature} as {@link Target#call} has them. */
        public Builder(String module, String export, String signature) {
            this.module = module;
            this.export = export;
            this.signature = signature;
        }

        /** What runs on this device; the module in this app, if not set. */
        public Builder here(Version version) {
            here = version;
            return this;
        }

        /** Where calls run; where they have been quicker, if not set. */
        public Builder policy(ElasticPolicy value) {
            policy = value;
            return this;
        }

        /** Running it twice does no harm; it is not assumed, if not set. */
        public Builder idempotent(boolean value) {
            idempotent = value;
            return this;
        }

        /** The longest that a call may take on the edge, in milliseconds; the edge's own, if not set. */
        public Builder deadlineMillis(long value) {
            deadlineMillis = value;
            return this;
        }

        /** What starts a call here as well when the edge is slow; nothing, if not set. Functions may share one. */
        public Builder hedge(Hedge value) {
            hedge = value;
            return this;
        }

        /** What spares calls the way to an edge that is gone; nothing, if not set. Functions should share one. */
        public Builder breaker(Breaker value) {
            breaker = value;
            return this;
        }

        /** What compares calls in both places; nothing, if not set. Functions may share one. */
        public Builder shadow(Shadow value) {
            shadow = value;
            return this;
        }

        /** Where each call is entered, an {@link EnergyLedger}; nowhere, if not set. Functions may share one. */
        public Builder ledger(CallLedger value) {
            ledger = value;
            return this;
        }

        /**
         * Makes the function.
         *
         * @throws IllegalArgumentException a module's name or a signature that is none, or calls would be made twice that
         *     must not be
         */
        public ElasticFunction build() {
            if ((hedge != null || shadow != null) && !idempotent) {
                throw new IllegalArgumentException(
                    export + ": it is not declared idempotent, and hedging and shadow mode run calls twice; declare"
                        + " idempotent(true) if that does no harm, or use the breaker alone");
            }
            return new ElasticFunction(this);
        }
    }

    private ElasticFunction(Builder builder) {
        this.module = builder.module;
        this.digest = ModuleName.parse(builder.module).digest;
        this.export = builder.export;
        this.signature = Signature.parse(builder.signature);
        this.here = builder.here;
        this.policy = builder.policy;
        this.idempotent = builder.idempotent;
        this.deadlineMillis = builder.deadlineMillis;
        this.hedge = builder.hedge;
        this.breaker = builder.breaker;
        this.shadow = builder.shadow;
        this.ledger = builder.ledger;
    }

    /**
     * Calls it and waits.
     *
     * @return as {@link Target#call}
     * @throws Trap the guest trapped
     * @throws RemoteException the call failed on the edge, and may have run there, and may not run again
     * @throws IllegalArgumentException the arguments do not fit
     */
    public Object call(Object... arguments) {
        if (mismatch != null || !policy.isRemote(this)) {
            return timed(false, arguments);
        }
        long start = System.nanoTime();
        try {
            return remotely(arguments);
        } catch (RemoteException error) {
            boolean isOver = deadlineMillis > 0 && System.nanoTime() - start > deadlineMillis * NANOS_PER_MILLI;
            if (isOver || isResult(error) || error.mayHaveRun() && !idempotent) {
                throw error;
            }
        }
        return timed(false, arguments);
    }

    /** Begins a call on a thread of this library and returns at once; what {@link #call} throws is the cause of the
     * future's ExecutionException. */
    public Future<Object> callAsync(final Object... arguments) {
        return Lawow.remoteClient().later(new Callable<Object>() {
            @Override
            public Object call() {
                return ElasticFunction.this.call(arguments);
            }
        });
    }

    /** Tells whether the last call that began ran on the edge, as far as it got. */
    public boolean wasRemote() {
        return lastRemote;
    }

    /** Returns what {@link Shadow} found, as a sentence; null for nothing. While there is something, calls run here. */
    public String mismatch() {
        return mismatch;
    }

    /** Forgets what {@link Shadow} found, and offloads calls again. */
    public void forgetMismatch() {
        mismatch = null;
    }

    /** Says where a call would run now, and why. Changes nothing and does no I/O. */
    public String explain() {
        if (mismatch != null) {
            return "local: " + mismatch;
        }
        String refusal = breaker == null ? null : breaker.refusal(Lawow.remoteClient().edgeOf(digest));
        return refusal == null ? policy.explain(this) : "local: " + refusal;
    }

    /** Tells whether the edge's failure is what the caller has to know, and no reason to run the call again. */
    static boolean isResult(RemoteException error) {
        return error.code().equals("deadline") || error.code().equals("interrupted");
    }

    /** Sends the call to the edge, and runs it here as well where that was asked for. */
    private Object remotely(Object[] arguments) {
        if (shadow != null && shadow.wants()) {
            return compared(arguments);
        }
        return hedge == null ? timed(true, arguments) : hedged(arguments);
    }

    private Object timed(boolean isRemote, Object[] arguments) {
        lastRemote = isRemote;
        long start = System.nanoTime();
        Object result = isRemote ? remote.run(arguments, new Cancel()) : local.run(arguments, null);
        long end = System.nanoTime();
        policy.learn(this, isRemote, (end - start) / NANOS);
        return entered(isRemote, start, end, arguments, result);
    }

    /** Enters a call that has returned, and returns its result. */
    private Object entered(boolean isRemote, long start, long end, Object[] arguments, Object result) {
        if (ledger != null) {
            ledger.enter(new CallSize(export, signature, arguments, result), isRemote, start, end);
        }
        return result;
    }

    /** Returns what the quicker place gives; the policy learns of both. */
    private Object hedged(Object[] arguments) {
        lastRemote = true;
        long start = System.nanoTime();
        Race.Run first;
        try {
            first = hedge.run(digest + " " + export, Lawow.remoteClient(), arguments, remote, local);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new RemoteException("interrupted", 0, true, "the calling thread was interrupted", error);
        }
        lastRemote = first.isRemote;
        if (!first.isRemote) { // or calls would go on to be sent there as if nothing were known
            policy.learn(this, true, (System.nanoTime() - start) / NANOS);
        }
        Object result = first.result();
        policy.learn(this, first.isRemote, first.nanos() / NANOS);
        return entered(first.isRemote, start, System.nanoTime(), arguments, result);
    }

    /** Runs the call in both places; on a mismatch what it gives here holds, and no more are sent. */
    private Object compared(Object[] arguments) {
        lastRemote = true;
        long start = System.nanoTime();
        Trial there = new Trial(remote, new Cancel(), arguments);
        Outcome theirs = there.isRefused() ? null : there.outcome(signature);
        if (theirs == null) {
            return there.deliver(arguments);
        }
        policy.learn(this, true, there.seconds);
        Trial mine = new Trial(local, null, arguments);
        Outcome ours = mine.outcome(signature);
        String difference = Outcome.difference(ours, theirs);
        if (difference != null) {
            mismatch = shadow.found(export, difference);
            lastRemote = false;
        }
        boolean isOurs = difference != null || ours != null && mine.hasFailed(); // with the exception that Java threw
        Object result = (isOurs ? mine : there).deliver(arguments);
        return entered(lastRemote, start, System.nanoTime(), arguments, result);
    }

    /** The version of this device. */
    private final class Here implements Attempt {
        @Override
        public Object run(Object[] arguments, Cancel cancel) {
            if (here != null) {
                return here.call(arguments);
            }
            Target target = Lawow.local();
            return cancel != null && target instanceof LocalRuntime
                ? ((LocalRuntime) target).call(cancel, module, export, signature.toString(), arguments)
                : target.call(module, export, signature.toString(), arguments);
        }
    }

    /** The edge, if the breaker lets calls through. */
    private final class There implements Attempt {
        @Override
        public Object run(Object[] arguments, Cancel cancel) {
            if (breaker == null) {
                return sent.run(arguments, cancel);
            }
            return breaker.call(Lawow.remoteClient().edgeOf(digest), sent, arguments, cancel);
        }
    }

    private final class Sent implements Attempt {
        @Override
        public Object run(Object[] arguments, Cancel cancel) {
            return Lawow.remoteClient().callWithin(deadlineMillis, digest, export, signature.toString(), arguments);
        }
    }
}
