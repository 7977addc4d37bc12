package dev.lawow;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;

/**
 * Metrics of this device from several sources, and triggers on them. One thread reads the sources at a slow rate and sleeps
 * in between; an app that has an executor of its own calls {@link #sample} there instead of {@link #start}.
 *
 * <p>Of a metric that two sources have, the first source's reading counts.
 */
public final class Notifier implements AutoCloseable {
    /** Often for a battery and for temperatures; the cost is in docs/device.md. */
    public static final long DEFAULT_PERIOD_MILLIS = 5000;

    private static final double NANOS_PER_SECOND = 1e9;
    private static final long LEAST_PERIOD_MILLIS = 10;

    private final MetricSource[] sources;
    private final List<Subscription> subscriptions = new ArrayList<>();
    private final Map<Metric, Reported> reported = new EnumMap<>(Metric.class);
    private volatile Sample latest = new Sample(now()).complete();
    private Thread thread;
    private boolean isClosed;

    /** Is told when a trigger becomes active or inactive. */
    public interface Listener {
        /** Takes the change, and the sample that did it. */
        void onChange(boolean isActive, Sample sample);
    }

    /** A trigger that somebody waits for. */
    public static final class Subscription implements AutoCloseable {
        private final Trigger.Watch watch;
        private final Executor executor; // null for the Notifier's thread
        private final Listener listener;
        private volatile boolean isActive;
        private volatile boolean isClosed;

        private Subscription(Trigger trigger, Executor executor, Listener listener) {
            this.watch = trigger.watch();
            this.executor = executor;
            this.listener = listener;
        }

        /** Tells whether the trigger was active in the newest sample. Returns at once. */
        public boolean isActive() {
            return isActive;
        }

        /** Tells the listener nothing more; one that runs goes on to its end. Returns at once. */
        @Override
        public void close() {
            isClosed = true;
        }

        private void tell(final boolean active, final Sample sample) {
            Runnable telling = new Runnable() {
                @Override
                public void run() {
                    if (!isClosed) {
                        listener.onChange(active, sample);
                    }
                }
            };
            if (executor == null) {
                telling.run();
            } else {
                executor.execute(telling);
            }
        }
    }

    /** The thread that samples until {@link #close} interrupts it. */
    private final class Sampler extends Thread {
        private final long periodMillis;

        Sampler(long periodMillis) {
            super("lawow-notifier");
            this.periodMillis = periodMillis;
        }

        @Override
        public void run() {
            try {
                while (!isInterrupted()) {
                    sample();
                    sleep(periodMillis);
                }
            } catch (InterruptedException closed) {
                interrupt(); // as close() asks
            }
        }
    }

    private static final class Reported {
        final Reading reading;
        final double end;

        Reported(Reading reading, double end) {
            this.reading = reading;
            this.end = end;
        }
    }

    /** Makes a notifier that does not run yet. */
    public Notifier(MetricSource... sources) {
        this.sources = sources.clone();
    }

    /** Samples at once and then every five seconds, in a daemon thread. */
    public void start() {
        start(DEFAULT_PERIOD_MILLIS);
    }

    /**
     * Samples at once and then every period, in a daemon thread; does nothing if it runs already.
     *
     * @throws IllegalArgumentException the period is less than 10 ms
     * @throws IllegalStateException this is closed
     */
    public synchronized void start(long periodMillis) {
        if (periodMillis < LEAST_PERIOD_MILLIS) {
            throw new IllegalArgumentException("periodMillis is " + periodMillis + "; allowed is 10 and more");
        }
        if (isClosed) {
            throw new IllegalStateException("this notifier is closed; make another one");
        }
        if (thread == null) {
            thread = new Sampler(periodMillis);
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** Ends the thread and all subscriptions; waits for the sample that is under way. */
    @Override
    public synchronized void close() {
        isClosed = true;
        for (Subscription subscription : subscriptions) {
            subscription.close();
        }
        subscriptions.clear();
        if (thread != null) {
            thread.interrupt();
        }
    }

    /** Returns the newest sample; empty before the first one. Returns at once. */
    public Sample latest() {
        return latest;
    }

    /** Reads all sources now, judges the triggers, tells the listeners, and returns what was read; one at a time. */
    public synchronized Sample sample() {
        return sample(now());
    }

    /** Does it at a time that the caller sets, no earlier than the time before. */
    synchronized Sample sample(double seconds) {
        Sample sample = new Sample(seconds);
        for (Reported item : reported.values()) {
            if (seconds <= item.end) {
                sample.add(item.reading);
            }
        }
        for (MetricSource source : sources) {
            source.read(sample);
        }
        latest = sample.complete();
        for (Subscription subscription : new ArrayList<>(subscriptions)) {
            judge(subscription, sample);
        }
        return sample;
    }

    /**
     * Takes what the app measured itself, such as {@link Metric#ROUND_TRIP} or {@link Metric#THROUGHPUT}. It stands in all
     * samples of the next {@code validSeconds}, before what sources say.
     *
     * @throws IllegalArgumentException the metric's values are words, or the value is not finite
     */
    public void report(Metric metric, double value, String source, double validSeconds) {
        report(metric, value, source, validSeconds, now());
    }

    synchronized void report(Metric metric, double value, String source, double validSeconds, double seconds) {
        if (metric.isText() || Double.isNaN(value) || Double.isInfinite(value)) {
            throw new IllegalArgumentException(metric.key() + " cannot be " + value + "; report finite numbers");
        }
        Reading reading = new Reading(metric, value, Provenance.MEASURED, source);
        reported.put(metric, new Reported(reading, seconds + validSeconds));
    }

    /** Has the listener told in the Notifier's thread, where it holds up the next sample. */
    public Subscription subscribe(Trigger trigger, Listener listener) {
        return add(new Subscription(trigger, null, listener));
    }

    /** Has the listener told by an executor: {@code context.getMainExecutor()}, or one of the app. */
    public Subscription subscribe(Trigger trigger, Executor executor, Listener listener) {
        return add(new Subscription(trigger, executor, listener));
    }

    private synchronized Subscription add(Subscription subscription) {
        if (isClosed) {
            throw new IllegalStateException("this notifier is closed; make another one");
        }
        subscriptions.add(subscription);
        return subscription;
    }

    private void judge(Subscription subscription, Sample sample) {
        if (subscription.isClosed) {
            subscriptions.remove(subscription);
            return;
        }
        boolean isActive = subscription.watch.update(sample);
        if (isActive == subscription.isActive) {
            return;
        }
        subscription.isActive = isActive;
        try {
            subscription.tell(isActive, sample);
        } catch (RuntimeException error) { // the app's code; the others must hear of their triggers all the same
            Thread current = Thread.currentThread();
            current.getUncaughtExceptionHandler().uncaughtException(current, error);
        }
    }

    private static double now() {
        return System.nanoTime() / NANOS_PER_SECOND;
    }
}
