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
    private final String signature;
    private final Version here;
    private final ElasticPolicy policy;
    private final boolean idempotent;
    private final long deadlineMillis;
    private volatile boolean lastRemote;

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

        /** Makes the function. Throws {@link IllegalArgumentException} for a module's name or a signature that is none. */
        public ElasticFunction build() {
            return new ElasticFunction(this);
        }
    }

    private ElasticFunction(Builder builder) {
        this.module = builder.module;
        this.digest = ModuleName.parse(builder.module).digest;
        this.export = builder.export;
        this.signature = Signature.parse(builder.signature).toString();
        this.here = builder.here;
        this.policy = builder.policy;
        this.idempotent = builder.idempotent;
        this.deadlineMillis = builder.deadlineMillis;
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
        if (!policy.isRemote(this)) {
            return callHere(arguments);
        }
        long start = System.nanoTime();
        try {
            lastRemote = true;
            Object result = Lawow.remoteClient().callWithin(deadlineMillis, digest, export, signature, arguments);
            policy.learn(this, true, (System.nanoTime() - start) / NANOS);
            return result;
        } catch (RemoteException error) {
            boolean isOver = deadlineMillis > 0 && System.nanoTime() - start > deadlineMillis * NANOS_PER_MILLI;
            boolean isResult = error.code().equals("deadline") || error.code().equals("interrupted");
            if (isOver || isResult || error.mayHaveRun() && !idempotent) {
                throw error;
            }
        }
        return callHere(arguments);
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

    private Object callHere(Object[] arguments) {
        long start = System.nanoTime();
        lastRemote = false;
        Object result = here == null
            ? Lawow.local(module, export, signature, arguments) : here.call(arguments);
        policy.learn(this, false, (System.nanoTime() - start) / NANOS);
        return result;
    }
}
