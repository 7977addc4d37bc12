package dev.lawow;

import java.util.concurrent.TimeUnit;

/**
 * Decides for each call of an elastic method whether it runs on the edge or on this device. In mode {@code auto} it runs
 * on the edge; if it certainly did not run there, or may run twice, this device takes over, and keeps calls for a while
 * when the edge is out of reach. What the guest does, traps included, is a result and no reason to run again.
 */
final class Elastic {
    /** How long an edge that was out of reach is left alone, so that not every call waits for it. */
    private static final long REST_NANOS = TimeUnit.SECONDS.toNanos(10);

    private final Configuration configuration;
    private final String mode;
    private volatile boolean resting;
    private volatile long restsUntil;

    /** Throws {@link IllegalStateException} if the configuration is unusable. */
    Elastic(Configuration configuration) {
        this.configuration = configuration;
        this.mode = configuration.mode();
    }

    /** Runs an export in an instance of its own on the edge, or returns {@link Lawow#LOCAL}. */
    Object call(String module, String export, String signature, Object[] arguments) {
        if (staysHere()) {
            return Lawow.LOCAL;
        }
        try {
            return Lawow.remote(module, export, signature, arguments);
        } catch (RemoteException error) {
            rest(error);
            if (mayRunHere(error, module)) {
                return Lawow.LOCAL;
            }
            throw error;
        }
    }

    /**
     * The same for an object with state. Its first call decides where the state lives; afterwards the object stays
     * there, and a failure of the edge reaches the caller.
     */
    Object callInstance(Object self, String module, String export, String signature, Object[] arguments) {
        if (mode.equals("local")) {
            return Lawow.LOCAL;
        }
        RemoteClient client = Lawow.remoteClient();
        RemoteInstance instance = client.instances().of(self);
        if (!instance.isOpen()) {
            synchronized (instance) {
                if (instance.isLocal() || !isOpened(instance, module)) {
                    return Lawow.LOCAL;
                }
            }
        }
        return client.callInstance(self, module, export, signature, arguments);
    }

    /** Opens the session of a first call; false when the object's state shall live on this device. */
    private boolean isOpened(RemoteInstance instance, String module) {
        if (!staysHere()) {
            try {
                instance.session(ModuleName.parse(module));
                return true;
            } catch (RemoteException error) {
                rest(error);
                if (mode.equals("remote")) {
                    throw error;
                }
            }
        }
        instance.stayLocal();
        return false;
    }

    private boolean staysHere() {
        boolean rests = resting && restsUntil - System.nanoTime() > 0; // nanoTime may wrap around
        return mode.equals("local") || mode.equals("auto") && rests;
    }

    private boolean mayRunHere(RemoteException error, String module) {
        return mode.equals("auto") && (!error.mayHaveRun() || configuration.isPure(ModuleName.parse(module).digest));
    }

    /** Leaves the edge alone after a failure to reach it; after a refusal, the next call may fare better. */
    private void rest(RemoteException error) {
        resting = !error.isAnswered() && !error.code().equals("interrupted");
        restsUntil = System.nanoTime() + REST_NANOS;
    }
}
