package dev.lawow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/** Edges that are slow, gone or wrong: the parts with a clock and dice that the test sets, and functions that use them. */
public final class Steady {
    private static final String SQUARE = "square.wasm@" + new String(new char[64]).replace('\0', '0');

    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "breaker":
                breaker();
                break;
            case "delays":
                delays();
                break;
            case "outcomes":
                outcomes();
                break;
            case "refusals":
                refusals();
                break;
            case "shadow":
                shadow(words[1]);
                break;
            case "gone":
                gone();
                break;
            case "hedge":
                hedge(words[1]);
                break;
            case "guest":
                guest(words[1], Integer.parseInt(words[2]));
                break;
            case "ledger":
                ledger();
                break;
            default:
                many(Integer.parseInt(words[1]));
        }
        System.exit(0); // threads that wait for an edge that never answers are not the test's business
    }

    /** Number and dice for each call: {@code NANOS EDGE OUTCOME DICE}. Out: whether it was sent, and what is refused then. */
    private static void breaker() throws IOException {
        Turned clock = new Turned();
        Loaded dice = new Loaded();
        Breaker breaker = new Breaker(3, 1000, 5000, clock, dice);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            clock.now = Long.parseLong(words[0]);
            dice.next = Double.parseDouble(words[3]);
            boolean[] sent = new boolean[1];
            try {
                Cancel cancel = new Cancel();
                breaker.call(words[1], (arguments, itself) -> end(words[2], sent, itself), new Object[0], cancel);
            } catch (RemoteException | Trap expected) {
                sent[0] |= false; // what it says, the next line tells
            }
            System.out.println((sent[0] ? "sent " : "kept ") + breaker.refusal(words[1]));
        }
    }

    private static Object end(String outcome, boolean[] sent, Cancel cancel) {
        sent[0] = true;
        switch (outcome) {
            case "lost":
                throw new RemoteException("lost", 0, true, "gone", null);
            case "worker-lost":
                throw new RemoteException("worker-lost", 502, true, "killed", null);
            case "busy":
                throw new RemoteException("busy", 503, false, "later", null);
            case "trap":
                throw new Trap("unreachable", "trap");
            case "cancelled":
                cancel.set();
                throw new RemoteException("lost", 0, true, "gone", null);
            default:
                return "done";
        }
    }

    private static final class Turned extends Clock {
        long now;

        @Override
        long nanos() {
            return now;
        }
    }

    private static final class Loaded extends Random {
        private static final long serialVersionUID = 1;
        double next;

        @Override
        public double nextDouble() {
            return next;
        }
    }

    /** In: how many nanoseconds each answer took. Out: the delay that is known then. */
    private static void delays() throws IOException {
        Hedge hedge = new Hedge();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            hedge.learn("f", Long.parseLong(line));
            System.out.println(hedge.delayNanos("f"));
        }
    }

    private static void outcomes() {
        float nan = Float.intBitsToFloat(0x7fc00001);
        int[] array = {1, 2, 3};
        tell("equal", of("i>F", 2.0, 1), of("i>F", 2.0, 1));
        tell("zeros", of(">F", 0.0), of(">F", -0.0));
        tell("nans", of("&[F>f", Float.NaN, doubles(Double.NaN)), of("&[F>f", nan, doubles(0x7ff8000000000009L)));
        tell("list", of("&[i>i", 1, new int[] {1, 2}), of("&[i>i", 1, new int[] {1, 3}));
        tell("in", of("[i>i", 1, new int[] {1, 2}), of("[i>i", 1, new int[] {1, 3}));
        tell("alias", of("&[i>[i", array, array), of("&[i>[i", array.clone(), array));
        tell("length", of(">[i", array), of(">[i", new int[2]));
        tell("text", of(">S", "one"), of(">S", "two"));
        tell("several", of(">iF", new Object[] {1, 2.0}), of(">iF", new Object[] {1, 3.0}));
        tell("void", of("&[i>", null, array), of("&[i>", null, array));
        tell("class", of(">i", 1L), of(">i", 1));
        tell("none", of(">i", null), of(">i", 1));
        tell("exception", Outcome.ofException(), of(">i", 1));
        tell("both", Outcome.ofException(), Outcome.of(new Trap("unreachable", "")));
        tell("traps", Outcome.of(new Trap("unreachable", "")), Outcome.of(new Trap("integer-overflow", "")));
        tell("limit", Outcome.of(new Trap("stack-overflow", "")), of(">i", 1));
    }

    private static Outcome of(String signature, Object result, Object... arguments) {
        return Outcome.of(Signature.parse(signature), result, arguments);
    }

    private static double[] doubles(double value) {
        return new double[] {value};
    }

    private static double[] doubles(long bits) {
        return doubles(Double.longBitsToDouble(bits));
    }

    private static void tell(String name, Outcome here, Outcome there) {
        System.out.println(name + ": " + Outcome.difference(here, there));
    }

    private static void refusals() {
        refuse(() -> function().shadow(new Shadow()).idempotent(false).build());
        refuse(() -> function().hedge(new Hedge()).idempotent(false).build());
        refuse(() -> new Shadow(Double.NaN, null));
        refuse(() -> new Hedge(1, 20, 4));
        refuse(() -> new Breaker(5, 2000, 1000));
        refuse(() -> EnergyLedger.model(1, -1, "a model"));
        refuse(() -> EnergyLedger.model(1, 1, "a\nmodel"));
        System.out.println(function().breaker(new Breaker()).idempotent(false).build().explain());
    }

    private static void refuse(Runnable making) {
        try {
            making.run();
            System.out.println("made");
        } catch (IllegalArgumentException error) {
            System.out.println(error.getMessage());
        }
    }

    private static ElasticFunction.Builder function() {
        return new ElasticFunction.Builder(SQUARE, "square", "i>i")
            .policy(ElasticPolicy.REMOTE)
            .here(arguments -> (Integer) arguments[0] * (Integer) arguments[0])
            .idempotent(true);
    }

    /** Calls until the edge was wrong, and once more; every call is compared. */
    private static void shadow(String kind) {
        List<String> heard = new ArrayList<>();
        Shadow every = new Shadow(1, (export, what) -> heard.add("told of " + export));
        Logger log = Logger.getLogger("dev.lawow");
        log.setUseParentHandlers(false);
        log.addHandler(new Listening(heard));
        ElasticFunction function = function().shadow(every).build();
        int[] list = {1, 2, 3};
        if (kind.equals("list")) {
            function = new ElasticFunction.Builder(SQUARE, "reverse", "&[i>")
                .policy(ElasticPolicy.REMOTE).idempotent(true).shadow(every).here(Steady::reverse).build();
        } else if (kind.equals("throws")) {
            function = function().shadow(every).here(Steady::fail).build();
        }
        for (int round = 0; round < 3; round++) {
            try {
                Object result = kind.equals("list") ? function.call(list) : function.call(12);
                System.out.println(result + " " + function.wasRemote() + " " + Arrays.toString(list));
            } catch (ArithmeticException | Trap | RemoteException error) {
                System.out.println(error.getClass().getSimpleName() + " " + function.wasRemote());
            }
        }
        System.out.println(heard + " " + function.explain());
        function.forgetMismatch();
        System.out.println(function.mismatch() + " " + function.explain());
    }

    /** What the log gets. */
    private static final class Listening extends Handler {
        private final List<String> heard;

        Listening(List<String> heard) {
            this.heard = heard;
        }

        @Override
        public void publish(LogRecord entry) {
            heard.add(entry.getLevel().intValue() + " " + entry.getMessage());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    private static Object reverse(Object... arguments) {
        int[] list = (int[]) arguments[0];
        int first = list[0];
        list[0] = list[2];
        list[2] = first;
        return null;
    }

    private static Object fail(Object... arguments) {
        throw new ArithmeticException("of " + arguments[0]);
    }

    /** Calls an edge that is not there. */
    private static void gone() {
        Breaker breaker = new Breaker(2, 60000, 60000);
        ElasticFunction function = function().breaker(breaker).build();
        ElasticFunction other = function().breaker(breaker).idempotent(false).build();
        for (int round = 0; round < 5; round++) {
            System.out.println(function.call(12) + " " + function.wasRemote());
        }
        System.out.println(other.call(3)); // certainly not sent, so it runs here
        System.out.println(function.explain());
    }

    /** Learns of 20 quick answers; then the edge is silent, or answers while the version here waits for ever. */
    private static void hedge(String kind) throws Exception {
        Hedge hedge = new Hedge();
        CountDownLatch interrupted = new CountDownLatch(1);
        CountDownLatch begun = new CountDownLatch(1);
        ElasticFunction.Version waiting = arguments -> {
            begun.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException expected) {
                interrupted.countDown();
            }
            return null;
        };
        ElasticFunction function = function().hedge(hedge).build();
        for (int round = 0; round < 20; round++) {
            function.call(12);
        }
        System.out.println(hedge.hedged() + " " + function.wasRemote());
        if (kind.equals("late")) { // the edge answers as soon as the test hears that the version here has begun
            function = function().hedge(hedge).here(waiting).build();
            Future<Object> later = function.callAsync(12);
            begun.await();
            System.out.println("begun");
            System.out.println(later.get() + " " + function.wasRemote() + " " + hedge.hedged());
            interrupted.await();
            System.out.println("interrupted");
            return;
        }
        String name = ModuleName.parse(SQUARE).digest + " square";
        for (int round = 0; round < 20; round++) {
            hedge.learn(name, 300_000_000); // so a call has been sent by the time it runs here as well
        }
        for (int round = 0; round < 7; round++) {
            System.out.println(function.call(12) + " " + function.wasRemote() + " " + hedge.hedged());
        }
    }

    /** A guest that spins here is stopped when the edge has answered; all threads are taken, so it runs in this one. */
    private static void guest(String module, int others) throws Exception {
        Hedge hedge = new Hedge();
        for (int round = 0; round < 20; round++) {
            hedge.learn(ModuleName.parse(module).digest + " spin", 1);
        }
        CountDownLatch free = new CountDownLatch(1);
        List<Future<Object>> taken = new ArrayList<>();
        for (int thread = 0; thread < others; thread++) {
            taken.add(Lawow.remoteClient().later(() -> {
                free.await();
                return null;
            }));
        }
        ElasticFunction spin = new ElasticFunction.Builder(module, "spin", ">")
            .policy(ElasticPolicy.REMOTE).idempotent(true).hedge(hedge).build();
        System.out.println(spin.call() + " " + spin.wasRemote() + " " + hedge.hedged());
        free.countDown();
        for (Future<Object> each : taken) {
            each.get();
        }
        while (isSpinning()) {
            Thread.sleep(5);
        }
        System.out.println("stopped");
    }

    private static boolean isSpinning() {
        for (StackTraceElement[] frames : Thread.getAllStackTraces().values()) {
            if (frames.length > 0 && frames[0].getMethodName().equals("instanceCall")) {
                return true;
            }
        }
        return false;
    }

    /** More calls at once than the client has threads. */
    private static void many(int count) throws Exception {
        ElasticFunction function = function().build();
        List<Future<Object>> later = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            later.add(function.callAsync(12));
        }
        List<Object> results = new ArrayList<>();
        for (Future<Object> each : later) {
            results.add(each.get());
        }
        System.out.println(results);
    }

    /** Calls with a battery that is read before, during and after them, and with figures of a model. Out: all that is known. */
    private static void ledger() {
        double[] amperes = {-0.5};
        Notifier notifier = new Notifier(sample -> {
            sample.put(Metric.BATTERY_CURRENT, amperes[0], Provenance.MEASURED, "a \"battery\"");
            sample.put(Metric.BATTERY_VOLTAGE, 4, Provenance.MEASURED, "a battery");
        });
        EnergyLedger ledger = new EnergyLedger(new BatteryMeter(notifier));
        ElasticFunction.Builder local = function().policy(ElasticPolicy.LOCAL).ledger(ledger);
        local.build().call(12); // nothing was read yet
        notifier.sample();
        local.build().call(12);
        local.here(arguments -> notifier.sample() == null ? null : 144).build().call(13);
        local.here(arguments -> 144);
        amperes[0] = 0.5; // while it is charged, the battery tells nothing of the device
        notifier.sample();
        local.build().call(12);
        notifier.report(Metric.POWER, 2.5, "a meter", 60);
        notifier.sample();
        local.build().call(12);
        System.out.print(ledger.lines());
        EnergyLedger modelled = new EnergyLedger(EnergyLedger.model(3.5, 1.6, "a phone: busy, offloaded"));
        function().ledger(modelled).build().call(12);
        function().ledger(modelled).hedge(new Hedge()).build().call(12);
        new ElasticFunction.Builder(SQUARE, "list", "&[iS>[s")
            .policy(ElasticPolicy.LOCAL).here(arguments -> null).ledger(modelled).build().call(new int[5], "abc");
        System.out.print(modelled.lines());
        System.out.println("unknown " + ledger.unknown() + " " + modelled.unknown());
        EnergyLedger many = new EnergyLedger(EnergyLedger.model(3.6, 0, "one"));
        for (int call = 0; call < 1200; call++) {
            CallSize size = new CallSize("f", Signature.parse("i>i"), new Object[] {call}, 0);
            many.enter(size, false, 0, 500000000);
        }
        for (EnergyLedger.Total total : many.totals()) {
            System.out.println(total.export() + " " + total.isRemote() + " " + total.provenance() + " " + total.calls()
                + " " + total.seconds() + " " + total.mwh() + " " + many.lines().split("\n").length);
        }
    }
}
