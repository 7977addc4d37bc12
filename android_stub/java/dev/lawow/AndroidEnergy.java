package dev.lawow;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Energy that the device has counted, from Android's power monitors (Android 15): {@link Metric#ENERGY}, and {@link
 * Metric#POWER} since the reading before. It is the sum of all rails that the device measures; a device may measure a part
 * of itself twice, or not at all. Has it no rails, it is the sum of its consumers, which are {@link Provenance#MODELLED},
 * because a device may compute them.
 */
public final class AndroidEnergy implements MetricSource {
    private static final String HEALTH = "android.os.health.SystemHealthManager";
    private static final String MONITOR = "android.os.PowerMonitor";
    private static final String READINGS = "android.os.PowerMonitorReadings";
    private static final int MEASUREMENT = 1; // PowerMonitor.POWER_MONITOR_TYPE_MEASUREMENT
    private static final double MICROWATTSECONDS_PER_MWH = 3.6e6;
    private static final double MICRO_PER_MILLI = 1e3;
    private static final long MOST_WATTS = 1000;
    private static final long PATIENCE_MILLIS = 1000;

    private final Object context;
    private List<Object> monitors;
    private boolean areRails;
    private Count before;

    /** What the monitors said at one time. */
    private static final class Count {
        long microwattseconds;
        long millis;
        int monitors;
    }

    /**
     * Makes a source.
     *
     * @param context an {@code android.content.Context}; that of the application, which may be kept
     * @throws IllegalArgumentException it is something else, or this is not Android
     */
    public AndroidEnergy(Object context) {
        this.context = Framework.requireContext(context);
    }

    @Override
    public void read(Sample sample) {
        try {
            Object manager = Framework.service(context, "systemhealth");
            if (monitors == null) {
                choose((List<?>) supported(manager));
            }
            Count now = count(manager);
            String source = HEALTH + ": " + now.monitors + (areRails ? " rails" : " consumers");
            Provenance provenance = areRails ? Provenance.MEASURED : Provenance.MODELLED;
            sample.put(Metric.ENERGY, now.microwattseconds / MICROWATTSECONDS_PER_MWH, provenance, source);
            power(sample, now, provenance, source);
            before = now;
        } catch (Framework.Missing missing) {
            sample.absent(Metric.ENERGY, missing.getMessage());
            sample.absent(Metric.POWER, missing.getMessage());
        }
    }

    private void power(Sample sample, Count now, Provenance provenance, String source) {
        if (before == null || before.monitors != now.monitors || now.millis <= before.millis) {
            sample.absent(Metric.POWER, source + ": needs a second reading");
            return;
        }
        double watts = (now.microwattseconds - before.microwattseconds) / (MICRO_PER_MILLI * (now.millis - before.millis));
        if (watts < 0 || watts > MOST_WATTS) {
            sample.absent(Metric.POWER, source + ": found " + watts + " W");
        } else {
            sample.put(Metric.POWER, watts, provenance, source);
        }
    }

    private static Object supported(Object manager) throws Framework.Missing {
        Class<?> consumer = Framework.type("java.util.function.Consumer");
        Answer answer = new Answer();
        Class<?>[] types = {Executor.class, consumer};
        Framework.call(HEALTH, manager, "getSupportedPowerMonitors", types, answer, answer.as(consumer));
        return answer.await();
    }

    /** Keeps the rails, or if there are none all that there is. */
    private void choose(List<?> supported) throws Framework.Missing {
        List<Object> rails = new ArrayList<>();
        for (Object monitor : supported) {
            if ((Integer) Framework.call(MONITOR, monitor, "getType") == MEASUREMENT) {
                rails.add(monitor);
            }
        }
        if (supported.isEmpty()) {
            throw new Framework.Missing(HEALTH + ": this device has no power monitors");
        }
        areRails = !rails.isEmpty();
        monitors = areRails ? rails : new ArrayList<Object>(supported);
    }

    private Count count(Object manager) throws Framework.Missing {
        Class<?> receiver = Framework.type("android.os.OutcomeReceiver");
        Answer answer = new Answer();
        Class<?>[] types = {List.class, Executor.class, receiver};
        Framework.call(HEALTH, manager, "getPowerMonitorReadings", types, monitors, answer, answer.as(receiver));
        Object readings = answer.await();
        Class<?>[] ofMonitor = {Framework.type(MONITOR)};
        Count count = new Count();
        for (Object monitor : monitors) {
            long energy = (Long) Framework.call(READINGS, readings, "getConsumedEnergy", ofMonitor, monitor);
            if (energy >= 0) { // else PowerMonitorReadings.ENERGY_UNAVAILABLE
                count.microwattseconds += energy;
                count.millis = Math.max(
                    count.millis, (Long) Framework.call(READINGS, readings, "getTimestampMillis", ofMonitor, monitor));
                count.monitors++;
            }
        }
        if (count.monitors == 0) {
            throw new Framework.Missing(HEALTH + ": none of " + monitors.size() + " monitors has a reading");
        }
        return count;
    }

    /** Takes what a service answers by a callback, on the thread that brings it. */
    private static final class Answer implements InvocationHandler, Executor {
        private final CountDownLatch isThere = new CountDownLatch(1);
        private volatile Object value;
        private volatile Object error;

        /** Returns an object of the callback's interface. */
        Object as(Class<?> callback) {
            return Proxy.newProxyInstance(callback.getClassLoader(), new Class<?>[] {callback}, this);
        }

        @Override
        public void execute(Runnable telling) {
            telling.run();
        }

        @Override
        public Object invoke(Object proxy, Method method, Object[] values) {
            if (method.getDeclaringClass() == Object.class) {
                return method.getName().equals("hashCode") ? System.identityHashCode(proxy)
                    : method.getName().equals("equals") ? proxy == values[0] : (Object) "lawow";
            }
            if (method.getName().equals("onError")) {
                error = values[0];
            } else {
                value = values[0];
            }
            isThere.countDown();
            return null;
        }

        Object await() throws Framework.Missing {
            try {
                if (!isThere.await(PATIENCE_MILLIS, TimeUnit.MILLISECONDS)) {
                    throw new Framework.Missing(HEALTH + ": no answer within " + PATIENCE_MILLIS + " ms");
                }
            } catch (InterruptedException closed) {
                Thread.currentThread().interrupt();
                throw new Framework.Missing(HEALTH + ": interrupted");
            }
            if (value == null) {
                throw new Framework.Missing(HEALTH + ": " + error);
            }
            return value;
        }
    }
}
