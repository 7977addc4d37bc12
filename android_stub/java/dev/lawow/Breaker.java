package dev.lawow;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * Spares calls the way to an edge that is gone: after losses in a row none is sent until a probe succeeds. A probe is one
 * call, at an interval that doubles and is jittered, so that devices which lost an edge together do not come back to it
 * together. What an edge refuses is no loss: an edge that refuses is there.
 *
 * <p>One is best shared by all functions; it keeps edges apart. For several threads. The same rules as {@code
 * lawow.device.resilience.Breaker} in Python.
 */
public final class Breaker {
    private static final int LOSSES = 5;
    private static final long FIRST_MILLIS = 1000;
    private static final long LONGEST_MILLIS = 60000;
    private static final double NANOS_PER_MILLI = 1e6;
    private static final double NANOS_PER_SECOND = 1e9;

    private final int losses;
    private final double firstNanos;
    private final double longestNanos;
    private final Clock clock;
    private final Random dice;
    private final Map<String, Edge> edges = new HashMap<>();

    /** What is known of one edge; without a probe's time while calls go there. */
    private static final class Edge {
        int losses;
        boolean isOpen;
        boolean isProbed;
        double intervalNanos;
        long probeAt;
    }

    /** Opens after 5 losses in a row; probes after half to all of a second, then of two, four, up to 60. */
    public Breaker() {
        this(LOSSES, FIRST_MILLIS, LONGEST_MILLIS);
    }

    /**
     * Opens after so many losses in a row. The first probe comes after half to all of {@code firstMillis}, the next ones
     * twice as late each time, at most {@code longestMillis}.
     *
     * @throws IllegalArgumentException unless {@code losses} is at least 1 and 0 &lt; firstMillis &lt;= longestMillis
     */
    public Breaker(int losses, long firstMillis, long longestMillis) {
        this(losses, firstMillis, longestMillis, Clock.SYSTEM, new Random());
    }

    Breaker(int losses, long firstMillis, long longestMillis, Clock clock, Random dice) {
        if (losses < 1 || firstMillis <= 0 || firstMillis > longestMillis) {
            throw new IllegalArgumentException(
                "losses " + losses + ", firstMillis " + firstMillis + ", longestMillis " + longestMillis
                    + "; allowed are 1 loss and more, and 0 < firstMillis <= longestMillis");
        }
        this.losses = losses;
        this.firstNanos = firstMillis * NANOS_PER_MILLI;
        this.longestNanos = longestMillis * NANOS_PER_MILLI;
        this.clock = clock;
        this.dice = dice;
    }

    /** Returns why a call would not be sent to this edge now; null if it would be. */
    public synchronized String refusal(String edge) {
        Edge item = edges.get(edge);
        if (item == null || !item.isOpen) {
            return null;
        }
        long left = item.probeAt - clock.nanos();
        if (left <= 0 && !item.isProbed) {
            return null;
        }
        String wait = item.isProbed
            ? "one call probes it now"
            : String.format(Locale.ROOT, "it is probed in %.1f s", left / NANOS_PER_SECOND);
        return edge + " was lost " + losses + " times in a row and is not called; " + wait;
    }

    /**
     * Makes the call and takes note of how it went. The end of a call that was cancelled says nothing of the edge; a probe
     * that says nothing has failed.
     *
     * @throws RemoteException {@code unreachable}, if nothing is sent to the edge now; and what the attempt throws
     */
    Object call(String edge, Attempt attempt, Object[] arguments, Cancel cancel) {
        boolean isProbe = admit(edge);
        Boolean isLost = null;
        try {
            Object result = attempt.run(arguments, cancel);
            isLost = false;
            return result;
        } catch (RemoteException error) {
            isLost = cancel.isSet() ? null : (Boolean) isLoss(error);
            throw error;
        } catch (Trap trap) {
            isLost = false;
            throw trap;
        } finally {
            note(edge, isProbe, isLost);
        }
    }

    /** Tells whether the error says that the edge, or its worker, was not there to the end. */
    private static boolean isLoss(RemoteException error) {
        return error.code().equals("worker-lost") || !error.isAnswered() && !error.code().equals("interrupted");
    }

    /** Tells whether the call is a probe; throws if it is not to be made. */
    private synchronized boolean admit(String edge) {
        String refusal = refusal(edge);
        if (refusal != null) {
            throw new RemoteException("unreachable", 0, false, refusal, null);
        }
        Edge item = edges.get(edge);
        if (item == null) {
            item = new Edge();
            edges.put(edge, item);
        }
        item.isProbed = item.isOpen;
        return item.isProbed;
    }

    /** Takes note of a call's end; calls from before the breaker opened change nothing any more. Null says nothing. */
    private synchronized void note(String edge, boolean isProbe, Boolean isLost) {
        Edge item = edges.get(edge);
        if (isProbe && isLost != null && !isLost) {
            edges.put(edge, new Edge());
        } else if (isProbe) {
            open(item, Math.min(2 * item.intervalNanos, longestNanos));
        } else if (!item.isOpen && isLost != null) {
            item.losses = isLost ? item.losses + 1 : 0;
            if (item.losses >= losses) {
                open(item, firstNanos);
            }
        }
    }

    /** Sends it nothing until a probe, half to all of the interval from now. */
    private void open(Edge item, double intervalNanos) {
        item.isOpen = true;
        item.isProbed = false;
        item.intervalNanos = intervalNanos;
        item.probeAt = clock.nanos() + (long) (intervalNanos * (1 + dice.nextDouble()) / 2);
    }
}
