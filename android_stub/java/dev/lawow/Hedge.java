package dev.lawow;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * Starts a call here as well when the edge has not answered for longer than it nearly always does; the first result wins,
 * and the other run is stopped. So a slow answer costs the usual wait and the call here, not the timeout of a lost
 * connection. Only for calls that may run twice.
 *
 * <p>It learns how long the edge takes, function by function: the quantile of the last 128 answers. Both runs have threads
 * of the library's client for the edge; the run here takes the caller's if none is free. WebAssembly here is stopped at
 * once, as is a call over the data plane; Java code is interrupted, and a call over HTTP runs to its end unseen. For
 * several threads.
 */
public final class Hedge {
    private static final double QUANTILE = 0.95;
    private static final int LEAST_CALLS = 20;
    private static final int MOST_ABANDONED = 4;

    /** Latest answers that the quantile is of: six of them are above the 95th percentile. */
    private static final int WINDOW = 128;

    private static final long SHORTEST_NANOS = 1000000;

    /** How long a run here waits for a thread before it takes the caller's. */
    private static final long PATIENCE_NANOS = 2000000;

    private final double quantile;
    private final int leastCalls;
    private final int mostAbandoned;
    private final Map<String, ArrayDeque<Long>> answers = new HashMap<>();
    private final List<Race.Run> abandoned = new ArrayList<>();
    private long hedged;

    /** Hedges after the 95th percentile, from the 20th answer on, and while not more than 4 that lost are under way. */
    public Hedge() {
        this(QUANTILE, LEAST_CALLS, MOST_ABANDONED);
    }

    /**
     * Hedges after this quantile of the latest answers, and never before a millisecond.
     *
     * @param leastCalls answers that it takes to know
     * @param mostAbandoned while so many calls that lost still wait for the edge, no call is sent
     * @throws IllegalArgumentException the quantile is not between 0 and 1, or a count is below 1
     */
    public Hedge(double quantile, int leastCalls, int mostAbandoned) {
        if (!(quantile > 0 && quantile < 1) || leastCalls < 1 || mostAbandoned < 1) {
            throw new IllegalArgumentException(
                "quantile " + quantile + ", leastCalls " + leastCalls + ", mostAbandoned " + mostAbandoned
                    + "; allowed are a quantile between 0 and 1, and counts from 1 on");
        }
        this.quantile = quantile;
        this.leastCalls = leastCalls;
        this.mostAbandoned = mostAbandoned;
    }

    /** Returns how many calls were started here as well. */
    public synchronized long hedged() {
        return hedged;
    }

    /** Returns how long the edge has for a call of this function, in nanoseconds; 0 if too few calls are known. */
    synchronized long delayNanos(String function) {
        ArrayDeque<Long> known = answers.get(function);
        if (known == null || known.size() < leastCalls) {
            return 0;
        }
        Long[] sorted = known.toArray(new Long[0]);
        Arrays.sort(sorted);
        return Math.max(sorted[(int) Math.ceil(quantile * sorted.length) - 1], SHORTEST_NANOS);
    }

    /** Takes note that the edge answered after so long. */
    synchronized void learn(String function, long nanos) {
        ArrayDeque<Long> known = answers.get(function);
        if (known == null) {
            known = new ArrayDeque<>();
            answers.put(function, known);
        }
        if (known.size() == WINDOW) {
            known.removeFirst();
        }
        known.addLast(nanos);
    }

    /**
     * Makes the call there, and here as well if that takes long; returns how the first one ended. The caller's arrays are
     * then as that one left its copies. If the edge fails before its time is over, that is returned and nothing ran here.
     *
     * @throws RemoteException {@code unreachable}, if too many calls wait for the edge
     */
    Race.Run run(String function, RemoteClient client, Object[] arguments, Attempt there, Attempt here)
            throws InterruptedException {
        long delay = delayNanos(function);
        Race race = new Race(client, arguments);
        Race.Run first;
        if (delay == 0) {
            first = race.prepare(true, there);
            first.run();
        } else {
            requireRoom();
            first = race(race, there, here, function, delay);
        }
        if (first.failure() == null) {
            Outcome.takeOver(arguments, first.own);
            if (first.isRemote) {
                learn(function, first.nanos());
            }
        }
        return first;
    }

    private Race.Run race(Race race, Attempt there, Attempt here, String function, long delay)
            throws InterruptedException {
        Race.Run remote = race.start(true, there);
        Race.Run local = null;
        try {
            Race.Run first = race.await(delay);
            if (first != null) {
                return first;
            }
            count();
            local = race.start(false, here);
            first = first(race, remote, local);
            if (!first.isRemote && remote.isUnderWay()) {
                learn(function, delay); // it took at least as long: else the quantile would sink for ever
            }
            return first;
        } finally {
            race.end(remote, local);
            abandon(remote);
        }
    }

    /**
     * Returns the first that has answered; what is no answer does not count while the other one may give one. The calling
     * thread does what no thread has begun, so that nothing waits for threads that wait for the edge.
     */
    private static Race.Run first(Race race, Race.Run remote, Race.Run local) throws InterruptedException {
        Race.Run first = race.await(PATIENCE_NANOS);
        if (first == null) {
            local.run();
            first = race.await();
        }
        if (first.isAnswer()) {
            return first;
        }
        (first.isRemote ? local : remote).run();
        return race.await();
    }

    private synchronized void count() {
        hedged++;
    }

    private synchronized void abandon(Race.Run remote) {
        if (remote.isUnderWay()) {
            abandoned.add(remote);
        }
    }

    private synchronized void requireRoom() {
        for (Iterator<Race.Run> runs = abandoned.iterator(); runs.hasNext(); ) {
            if (!runs.next().isUnderWay()) {
                runs.remove();
            }
        }
        if (abandoned.size() >= mostAbandoned) {
            throw new RemoteException(
                "unreachable", 0, false,
                abandoned.size() + " calls that ran here meanwhile are still waiting for the edge; this one was not sent",
                null);
        }
    }
}
