package dev.lawow;

import java.util.Locale;

/**
 * Where the time of one call went, in seconds: the three parts of time of the LAWOW paper. {@link Lawow#lastTiming()}
 * gives the one of the calling thread's last successful call.
 */
public final class Timing {
    private static final double NANOS = 1e9;
    private static final double MILLIS = 1e3;

    /** Bringing arguments there and results back; 0 for a call on this device. */
    public final double transferSeconds;

    /** Compiling and instantiating the module; close to 0 once it is warm. */
    public final double prepareSeconds;

    /** The export itself. */
    public final double runSeconds;

    /** Most memory that the edge's worker process ever held, in bytes; 0 when it is not known. */
    public final long peakMemoryBytes;

    Timing(double transferSeconds, double prepareSeconds, double runSeconds, long peakMemoryBytes) {
        this.transferSeconds = transferSeconds;
        this.prepareSeconds = prepareSeconds;
        this.runSeconds = runSeconds;
        this.peakMemoryBytes = peakMemoryBytes;
    }

    /** Makes the timing of a call on this device from three readings of {@link System#nanoTime()}. */
    static Timing local(long start, long prepared, long end) {
        return new Timing(0, (prepared - start) / NANOS, (end - prepared) / NANOS, 0);
    }

    /**
     * Makes the timing of a call on the edge: what the edge reports of itself, and the rest of the time for the transfer.
     *
     * @param nanos from before the request to the end of the answer
     * @param serverTiming the answer's {@code Server-Timing} header (W3C Server Timing, durations in ms), or null
     * @param peakMemory the answer's {@code Lawow-Peak-Memory-Bytes} header, or null
     */
    static Timing remote(long nanos, String serverTiming, String peakMemory) {
        double prepare = duration(serverTiming, "prepare");
        double run = duration(serverTiming, "run");
        double transfer = Math.max(0, nanos / NANOS - prepare - run);
        return new Timing(transfer, prepare, run, (long) number(peakMemory));
    }

    /** Returns one metric's duration in seconds, or 0 when the header lacks it. */
    private static double duration(String header, String metric) {
        for (String entry : header == null ? new String[0] : header.split(",")) {
            String[] parts = entry.trim().split(";");
            if (!parts[0].trim().equals(metric)) {
                continue;
            }
            for (String part : parts) {
                if (part.trim().startsWith("dur=")) {
                    return number(part.trim().substring("dur=".length())) / MILLIS;
                }
            }
        }
        return 0;
    }

    /** Returns a non-negative number, or 0 for anything that is none: timing is information, never an error. */
    private static double number(String text) {
        try {
            return text == null ? 0 : Math.max(0, Double.parseDouble(text.trim()));
        } catch (NumberFormatException error) {
            return 0;
        }
    }

    @Override
    public String toString() {
        return String.format(
            Locale.ROOT, "transfer %.6f s, prepare %.6f s, run %.6f s", transferSeconds, prepareSeconds, runSeconds);
    }
}
