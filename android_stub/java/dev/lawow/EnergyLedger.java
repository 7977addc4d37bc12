package dev.lawow;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What the calls of elastic functions drew, in milliwatt-hours of the whole device, each with its provenance; sums of
 * different provenance are never mixed. Calls that returned are entered; one of which no meter knows anything is counted in
 * {@link #unknown}. It holds the newest 1,000 one by one, and sums of all. Any thread may call it.
 *
 * <p>{@link #lines} is a file for {@code lawow.device.energy_lines} and {@code lawow simulate} in Python.
 */
public final class EnergyLedger extends CallLedger {
    private static final int MOST_SAMPLES = 1000;

    /** Functions times places times provenances; an app has some dozens. */
    private static final int MOST_TOTALS = 10000;

    /** So that a line stays within the 4,096 bytes that Python reads. */
    private static final int MOST_SOURCE = 500;

    private static final double JOULES_PER_MWH = 3.6;
    private static final double NANOS = 1e9;

    private final Meter[] meters;
    private final ArrayDeque<String> lines = new ArrayDeque<>();
    private final Map<String, Total> totals = new LinkedHashMap<>();
    private long unknown;

    /** Something that knows what the device draws. */
    public interface Meter {
        /**
         * Tells what the device drew while a call ran; null if this does not know. Runs in the thread of the call, after it,
         * and must not block.
         *
         * @param isRemote whether it ran on the edge
         * @param startSeconds when it began, by the clock of {@link Sample#seconds}
         */
        Draw during(boolean isRemote, double startSeconds);
    }

    /** A power in watts, how it came about, and the instrument or model, for people. */
    public static final class Draw {
        private final double watts;
        private final Provenance provenance;
        private final String source;

        /**
         * Throws {@link IllegalArgumentException} unless the watts are a finite number from 0 on, and the source is up to
         * 500 characters on one line.
         */
        public Draw(double watts, Provenance provenance, String source) {
            if (!(watts >= 0 && watts < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("watts are " + watts + "; allowed are finite numbers from 0");
            }
            if (source.length() > MOST_SOURCE || !source.matches("\\P{Cntrl}*")) {
                throw new IllegalArgumentException(
                    "the source has " + source.length() + " characters; allowed are " + MOST_SOURCE + " on one line");
            }
            this.watts = watts;
            this.provenance = provenance;
            this.source = source;
        }
    }

    /** What the calls of one function in one place drew, of one provenance. */
    public static final class Total {
        private final String export;
        private final boolean isRemote;
        private final Provenance provenance;
        private long calls;
        private double seconds;
        private double mwh;

        private Total(String export, boolean isRemote, Provenance provenance) {
            this.export = export;
            this.isRemote = isRemote;
            this.provenance = provenance;
        }

        private Total copy() {
            Total copy = new Total(export, isRemote, provenance);
            copy.add(calls, seconds, mwh);
            return copy;
        }

        private void add(long moreCalls, double moreSeconds, double moreMwh) {
            calls += moreCalls;
            seconds += moreSeconds;
            mwh += moreMwh;
        }

        /** Returns the function's name in its module. */
        public String export() {
            return export;
        }

        /** Tells whether the calls ran on the edge. */
        public boolean isRemote() {
            return isRemote;
        }

        /** Returns how the figures came about. */
        public Provenance provenance() {
            return provenance;
        }

        /** Returns how many calls these are. */
        public long calls() {
            return calls;
        }

        /** Returns how long they took together. */
        public double seconds() {
            return seconds;
        }

        /** Returns what they drew together. */
        public double mwh() {
            return mwh;
        }
    }

    /** Makes an empty ledger; the first meter that knows something of a call counts. */
    public EnergyLedger(Meter... meters) {
        this.meters = meters.clone();
    }

    /**
     * Returns a meter of fixed figures, as {@code busy_watts} and {@code offloaded_watts} of a device file in Python.
     *
     * @param source what they are of, for people
     * @throws IllegalArgumentException a figure is no finite number from 0 on
     */
    public static Meter model(double localWatts, double remoteWatts, String source) {
        final Draw local = new Draw(localWatts, Provenance.MODELLED, source);
        final Draw remote = new Draw(remoteWatts, Provenance.MODELLED, source);
        return new Meter() {
            @Override
            public Draw during(boolean isRemote, double startSeconds) {
                return isRemote ? remote : local;
            }
        };
    }

    @Override
    void enter(CallSize call, boolean isRemote, long startNanos, long endNanos) {
        double start = startNanos / NANOS;
        double seconds = (endNanos - startNanos) / NANOS;
        Draw draw = null;
        for (int at = 0; draw == null && at < meters.length; at++) {
            draw = meters[at].during(isRemote, start);
        }
        synchronized (this) {
            if (draw == null) {
                unknown++;
            } else {
                add(call, isRemote, start, seconds, draw);
            }
        }
    }

    private void add(CallSize call, boolean isRemote, double start, double seconds, Draw draw) {
        double mwh = draw.watts * seconds / JOULES_PER_MWH;
        String provenance = draw.provenance.name().toLowerCase(Locale.ROOT);
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("at_seconds", start);
        line.put("export", call.export);
        line.put("place", isRemote ? "remote" : "local");
        line.put("seconds", seconds);
        line.put("size", call.size);
        line.put("sent_bytes", call.sentBytes);
        line.put("received_bytes", call.receivedBytes);
        line.put("mwh_per_call", mwh);
        line.put("provenance", provenance);
        line.put("source", draw.source);
        if (lines.size() == MOST_SAMPLES) {
            lines.removeFirst();
        }
        lines.addLast(Json.write(line));
        String key = provenance + isRemote + call.export;
        Total total = totals.get(key);
        if (total == null && totals.size() < MOST_TOTALS) {
            total = new Total(call.export, isRemote, draw.provenance);
            totals.put(key, total);
        }
        if (total != null) {
            total.add(1, seconds, mwh);
        }
    }

    /** Returns the newest calls as JSON lines, the newest last: names, sizes, times and energies, and no values. */
    public synchronized String lines() {
        StringBuilder text = new StringBuilder();
        for (String line : lines) {
            text.append(line).append('\n');
        }
        return text.toString();
    }

    /** Returns the sums of all calls, one for each function, place and provenance. */
    public synchronized List<Total> totals() {
        List<Total> copies = new ArrayList<>();
        for (Total total : totals.values()) {
            copies.add(total.copy());
        }
        return copies;
    }

    /** Returns how many calls were not entered because no meter knew what they drew. */
    public synchronized long unknown() {
        return unknown;
    }
}
