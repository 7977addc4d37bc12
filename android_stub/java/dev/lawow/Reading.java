package dev.lawow;

/** One value of a {@link Metric}, with its provenance. */
public final class Reading {
    private final Metric metric;
    private final Object value;
    private final Provenance provenance;
    private final String source;

    Reading(Metric metric, Object value, Provenance provenance, String source) {
        this.metric = metric;
        this.value = value;
        this.provenance = provenance;
        this.source = source;
    }

    /** Returns what was read. */
    public Metric metric() {
        return metric;
    }

    /**
     * Returns the value in the metric's unit.
     *
     * @throws IllegalStateException the metric's values are words
     */
    public double number() {
        if (metric.isText()) {
            throw new IllegalStateException(metric.key() + " is a word; use text()");
        }
        return (Double) value;
    }

    /** Returns the value as a text: the word, or the number. */
    public String text() {
        return value.toString();
    }

    /** Returns how it came about. */
    public Provenance provenance() {
        return provenance;
    }

    /** Returns where the value stood, for people. */
    public String source() {
        return source;
    }

    /** Returns it as people read it. */
    @Override
    public String toString() {
        String unit = metric.isText() || metric.unit().isEmpty() ? "" : " " + metric.unit();
        return metric.key() + " " + value + unit + " (" + provenance.name().toLowerCase(java.util.Locale.ROOT) + ")";
    }
}
