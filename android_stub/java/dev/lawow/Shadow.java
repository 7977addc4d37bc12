package dev.lawow;

import java.util.Random;
import java.util.logging.Logger;

/**
 * Runs a share of the calls that go to the edge in both places and compares them bit by bit, to notice an edge that computes
 * wrongly: results, arrays that come back, and whether there was an exception. On a mismatch the function is not
 * offloaded any more, and what this device computed is the call's result. For several threads.
 */
public final class Shadow {
    private static final double SHARE = 0.01;
    private static final Logger LOG = Logger.getLogger("dev.lawow");

    private final double share;
    private final Listener listener;
    private final Random dice;

    /** Is told of a mismatch, after it was logged. */
    public interface Listener {
        /** Takes the function's export, and a sentence without any values. Runs in the thread that called. */
        void onMismatch(String export, String what);
    }

    /** Compares one call of a hundred. */
    public Shadow() {
        this(SHARE, null);
    }

    /**
     * Compares this share of the calls.
     *
     * @param listener null for none
     * @throws IllegalArgumentException the share is not above 0 and at most 1
     */
    public Shadow(double share, Listener listener) {
        this(share, listener, new Random());
    }

    Shadow(double share, Listener listener, Random dice) {
        if (!(share > 0 && share <= 1)) {
            throw new IllegalArgumentException("share is " + share + "; allowed is above 0 and at most 1");
        }
        this.share = share;
        this.listener = listener;
        this.dice = dice;
    }

    /** Draws: tells whether to compare the next call. */
    boolean wants() {
        return dice.nextDouble() < share;
    }

    /** Logs the difference between the places and tells the listener; returns the sentence. */
    String found(String export, String difference) {
        String what = report(export, difference);
        if (listener != null) {
            listener.onMismatch(export, what);
        }
        return what;
    }

    /** Logs the difference, and returns it as a sentence. */
    static String report(String function, String difference) {
        String what = function + ": the same call gave " + difference + "; it is not offloaded any more";
        LOG.warning(what);
        return what;
    }
}
