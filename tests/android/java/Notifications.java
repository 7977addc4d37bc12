package dev.lawow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/** Runs the tables of triggers and batteries that Python is held to, and the Notifier with a clock that is set. */
public final class Notifications {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Notifications() {}

    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "metrics":
                for (Metric metric : Metric.values()) {
                    OUT.println(metric.key() + "\t" + metric.unit());
                }
                break;
            case "triggers":
                triggers();
                break;
            case "currents":
                currents();
                break;
            case "notifier":
                notifier();
                break;
            case "thread":
                thread();
                break;
            default:
                refusals();
        }
    }

    /** Writes for each sample of the table on standard input whether the trigger is active. */
    private static void triggers() throws IOException {
        Trigger.Watch watch = null;
        for (List<String> words : lines()) {
            if (words.get(0).equals("trigger")) {
                watch = trigger(words.subList(1, words.size()).iterator()).watch();
            } else {
                OUT.println(watch.update(sample(words)) ? "active" : "inactive");
            }
        }
    }

    private static Trigger trigger(Iterator<String> words) {
        String kind = words.next();
        if (kind.equals("all") || kind.equals("any")) {
            Trigger[] parts = new Trigger[Integer.parseInt(words.next())];
            for (int at = 0; at < parts.length; at++) {
                parts[at] = trigger(words);
            }
            return kind.equals("all") ? Trigger.allOf(parts) : Trigger.anyOf(parts);
        }
        Metric metric = metric(words.next());
        if (kind.equals("equals")) {
            return Trigger.equals(metric, words.next(), number(words));
        }
        double limit = number(words);
        double hysteresis = number(words);
        double dwell = number(words);
        return kind.equals("below")
            ? Trigger.below(metric, limit, hysteresis, dwell)
            : Trigger.above(metric, limit, hysteresis, dwell);
    }

    private static double number(Iterator<String> words) {
        return Double.parseDouble(words.next());
    }

    private static Metric metric(String key) {
        return Metric.valueOf(key.toUpperCase(Locale.ROOT));
    }

    private static Sample sample(List<String> words) {
        Sample sample = new Sample(Double.parseDouble(words.get(1)));
        for (String pair : words.subList(2, words.size() - 1)) {
            String[] parts = pair.split("=");
            Metric metric = metric(parts[0]);
            if (metric.isText()) {
                sample.put(metric, parts[1], Provenance.EMULATED, "case");
            } else {
                double value = parts[1].equals("nan") ? Double.NaN : parts[1].equals("inf") ? 1 / 0.0 : Double.valueOf(parts[1]);
                sample.put(metric, value, Provenance.EMULATED, "case");
            }
        }
        return sample.complete();
    }

    /** Writes for each value of the table on standard input what it means. */
    private static void currents() throws IOException {
        CurrentCalibration calibration = new CurrentCalibration();
        for (List<String> words : lines()) {
            if (words.get(0).equals("battery")) {
                calibration = new CurrentCalibration();
                continue;
            }
            double amperes = calibration.amperes(Long.parseLong(words.get(0)), words.get(1));
            String shown = Double.isNaN(amperes) ? "unknown" : String.format(Locale.ROOT, "%.6f", amperes + 0.0);
            OUT.println(shown.replace("-0.000000", "0.000000") + " " + calibration.unit());
        }
    }

    /** Listeners, what the app reports, and a listener that throws; the clock is set. */
    private static void notifier() {
        double[] level = {50};
        Notifier notifier = new Notifier(
            into -> into.put(Metric.BATTERY_LEVEL, level[0], Provenance.EMULATED, "first"),
            into -> into.put(Metric.BATTERY_LEVEL, 1, Provenance.EMULATED, "second"),
            into -> into.absent(Metric.BATTERY_LEVEL, "third"),
            into -> into.absent(Metric.SIGNAL, "looked in vain"));
        Trigger low = Trigger.below(Metric.BATTERY_LEVEL, 30, 5, 0);
        Thread.currentThread().setUncaughtExceptionHandler((thread, error) -> OUT.println("handler: " + error.getMessage()));
        notifier.subscribe(low, (active, sample) -> {
            throw new IllegalStateException("of the app");
        });
        Notifier.Subscription heard = notifier.subscribe(
            low, (active, sample) -> OUT.println(sample.seconds() + " " + active + " " + sample.get(Metric.BATTERY_LEVEL)));
        notifier.report(Metric.THROUGHPUT, 2.5e6, "transfer", 2, 0);
        double[] levels = {50, 29, 33, 36, 29};
        for (int at = 0; at < levels.length; at++) {
            level[0] = levels[at];
            Sample sample = notifier.sample(at);
            OUT.println(at + " " + heard.isActive() + " " + sample.get(Metric.THROUGHPUT) + " " + sample.absent());
            if (at == 3) {
                heard.close();
            }
        }
    }

    /** The Notifier's own thread, with real time: it samples, hears of a change, and ends. */
    private static void thread() throws InterruptedException {
        BlockingQueue<Boolean> heard = new ArrayBlockingQueue<>(10);
        double[] level = {29};
        try (Notifier notifier = new Notifier(into -> {
            synchronized (level) {
                into.put(Metric.BATTERY_LEVEL, level[0], Provenance.EMULATED, "test");
            }
        })) {
            notifier.subscribe(Trigger.below(Metric.BATTERY_LEVEL, 30, 0, 0), (active, sample) -> heard.add(active));
            notifier.start(10);
            OUT.println(heard.poll(10, TimeUnit.SECONDS));
            synchronized (level) {
                level[0] = 90;
            }
            OUT.println(heard.poll(10, TimeUnit.SECONDS));
        }
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().equals("lawow-notifier")) {
                thread.join(10000);
                OUT.println(thread.isAlive() ? "alive" : "ended");
                return;
            }
        }
        OUT.println("ended");
    }

    /** What is no trigger, no report and no place for Android's source. */
    private static void refusals() {
        List<Runnable> wrong = Arrays.asList(
            () -> Trigger.below(Metric.BATTERY_LEVEL, Double.NaN, 0, 0),
            () -> Trigger.above(Metric.BATTERY_LEVEL, 1, -1, 0),
            () -> Trigger.below(Metric.BATTERY_LEVEL, 1, 0, Double.POSITIVE_INFINITY),
            () -> Trigger.below(Metric.NETWORK_KIND, 1, 0, 0),
            () -> Trigger.equals(Metric.ROUND_TRIP, "long", 0),
            Trigger::allOf,
            () -> new Notifier().report(Metric.CHARGE_STATE, 1, "", 1),
            () -> new Notifier().sample(0).put(Metric.POWER, 1, Provenance.MEASURED, ""),
            () -> new Notifier().start(0),
            () -> new AndroidMetrics("a text"));
        for (Runnable item : wrong) {
            try {
                item.run();
                OUT.println("allowed");
            } catch (IllegalArgumentException | IllegalStateException error) {
                OUT.println(error.getMessage());
            }
        }
    }

    private static List<List<String>> lines() throws IOException {
        List<List<String>> found = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (!line.isEmpty() && !line.startsWith("#")) {
                found.add(Arrays.asList(line.split(" +")));
            }
        }
        return found;
    }
}
