package dev.lawow;

/** Somewhere that metrics come from: {@link AndroidMetrics}, or what an app knows itself. */
public interface MetricSource {
    /**
     * Puts all there is now into the sample, which may hold readings of earlier sources. Runs in the Notifier's thread. Must
     * not throw because a value is missing or nonsense: that is {@link Sample#absent(Metric, String)}.
     */
    void read(Sample sample);
}
