package dev.lawow;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Says where the calls of an {@link ElasticFunction} run, and is told how long they took. Subclasses answer as they like;
 * they are asked by any thread and must not block.
 */
public abstract class ElasticPolicy {
    /** Always on this device. */
    public static final ElasticPolicy LOCAL = new Fixed(false);

    /** Always on the edge. */
    public static final ElasticPolicy REMOTE = new Fixed(true);

    /** Makes a policy. */
    protected ElasticPolicy() {}

    /** Tells whether the next call of this function runs on the edge. */
    public abstract boolean isRemote(ElasticFunction function);

    /** Takes note that a call returned after so many seconds, all of it: transfer, preparing, running. */
    public void learn(ElasticFunction function, boolean wasRemote, double seconds) {
        // a policy that never changes has nothing to learn
    }

    /** Says where the next call of this function would run, and why. Changes nothing. */
    public String explain(ElasticFunction function) {
        return "as the policy " + getClass().getName() + " decides";
    }

    /**
     * Returns a new policy that runs calls where the function has been quicker, by a moving mean for each place. A place
     * that was never tried is tried first, this device before the edge; every 64th call goes to the slower one, to
     * notice that things have changed.
     */
    public static ElasticPolicy automatic() {
        return new Automatic();
    }

    private static final class Fixed extends ElasticPolicy {
        private final boolean remote;

        Fixed(boolean remote) {
            this.remote = remote;
        }

        @Override
        public boolean isRemote(ElasticFunction function) {
            return remote;
        }

        @Override
        public String explain(ElasticFunction function) {
            return remote ? "remote: the policy is REMOTE" : "local: the policy is LOCAL";
        }
    }

    private static final class Automatic extends ElasticPolicy {
        /** Of the newest call in the mean: the last eight make up nine tenths of it. */
        private static final double WEIGHT = 0.25;

        private static final int PROBE_EVERY = 64;
        private static final double UNKNOWN = -1;

        private final Map<ElasticFunction, double[]> means = new HashMap<>();
        private int calls;

        @Override
        public synchronized boolean isRemote(ElasticFunction function) {
            double[] mean = mean(function);
            if (mean[0] == UNKNOWN || mean[1] == UNKNOWN) {
                return mean[0] != UNKNOWN;
            }
            return mean[1] < mean[0] ^ ++calls % PROBE_EVERY == 0;
        }

        @Override
        public synchronized void learn(ElasticFunction function, boolean wasRemote, double seconds) {
            double[] mean = mean(function);
            int place = wasRemote ? 1 : 0;
            mean[place] = mean[place] == UNKNOWN ? seconds : mean[place] + WEIGHT * (seconds - mean[place]);
        }

        @Override
        public synchronized String explain(ElasticFunction function) {
            double[] mean = mean(function);
            if (mean[0] == UNKNOWN || mean[1] == UNKNOWN) {
                return (mean[0] == UNKNOWN ? "local" : "remote") + ": it has not run there yet";
            }
            String where = mean[1] < mean[0] ? "remote" : "local";
            return String.format(
                Locale.ROOT, "%s: %.6f s here, %.6f s by the edge, on average; each %dth call goes to the other place",
                where, mean[0], mean[1], PROBE_EVERY);
        }

        /** Returns the means of this device and of the edge. */
        private double[] mean(ElasticFunction function) {
            double[] mean = means.get(function);
            if (mean == null) {
                mean = new double[] {UNKNOWN, UNKNOWN};
                means.put(function, mean);
            }
            return mean;
        }
    }
}
