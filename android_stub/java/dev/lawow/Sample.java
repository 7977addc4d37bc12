package dev.lawow;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/** All that was read at one time. A {@link MetricSource} fills it; afterwards it does not change. */
public final class Sample {
    private final double seconds;
    private final Map<Metric, Reading> readings = new EnumMap<>(Metric.class);
    private final Map<Metric, String> absent = new EnumMap<>(Metric.class);
    private boolean isComplete;

    Sample(double seconds) {
        this.seconds = seconds;
    }

    /** Returns when it was read, in seconds of the Notifier's clock, whose beginning means nothing. */
    public double seconds() {
        return seconds;
    }

    /** Returns the reading of a metric, or null if it is absent. */
    public Reading get(Metric metric) {
        return readings.get(metric);
    }

    /** Returns all readings. */
    public Map<Metric, Reading> readings() {
        return Collections.unmodifiableMap(readings);
    }

    /** Returns, for each metric that is absent, where was looked for it. */
    public Map<Metric, String> absent() {
        return Collections.unmodifiableMap(absent);
    }

    /**
     * Adds a number, for a source. The first value of a metric counts; what is no finite number is absent.
     *
     * @throws IllegalArgumentException the metric's values are words
     * @throws IllegalStateException the sample is complete
     */
    public void put(Metric metric, double value, Provenance provenance, String source) {
        require(!metric.isText(), metric);
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            absent(metric, source + ": found " + value);
        } else {
            add(new Reading(metric, value, provenance, source));
        }
    }

    /**
     * Adds a word, for a source. The first value of a metric counts.
     *
     * @throws IllegalArgumentException the metric's values are numbers
     * @throws IllegalStateException the sample is complete
     */
    public void put(Metric metric, String word, Provenance provenance, String source) {
        require(metric.isText(), metric);
        add(new Reading(metric, word, provenance, source));
    }

    /** Says where a source looked for a metric that it could have and has not. */
    public void absent(Metric metric, String lookedAt) {
        requireOpen();
        String before = absent.get(metric);
        absent.put(metric, before == null ? lookedAt : before + "; " + lookedAt);
    }

    /** Ends the filling. */
    Sample complete() {
        absent.keySet().removeAll(readings.keySet());
        isComplete = true;
        return this;
    }

    void add(Reading reading) {
        requireOpen();
        if (!readings.containsKey(reading.metric())) {
            readings.put(reading.metric(), reading);
        }
    }

    private void requireOpen() {
        if (isComplete) {
            throw new IllegalStateException("this sample is complete; sources fill it while they are asked");
        }
    }

    private static void require(boolean fits, Metric metric) {
        if (!fits) {
            throw new IllegalArgumentException(metric.key() + " has values of unit " + metric.unit());
        }
    }
}
