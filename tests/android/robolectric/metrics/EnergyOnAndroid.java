import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.os.Bundle;
import dev.lawow.AndroidEnergy;
import dev.lawow.AndroidMetrics;
import dev.lawow.Metric;
import dev.lawow.Notifier;
import dev.lawow.Provenance;
import dev.lawow.Sample;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/**
 * Android 15's own SystemHealthManager, PowerMonitor and PowerMonitorReadings, over a system service of the test's: its
 * three monitors are what hardware would be. The service is reached by its own interface, as the framework calls it.
 */
@RunWith(RobolectricTestRunner.class)
@Config(manifest = Config.NONE)
public final class EnergyOnAndroid {
    private static final int CONSUMER = 0; // PowerMonitor.POWER_MONITOR_TYPE_CONSUMER
    private static final int MEASUREMENT = 1;
    private static final String HEALTH = "android.os.health.SystemHealthManager";

    private final Context context = RuntimeEnvironment.getApplication();
    private final Notifier notifier = new Notifier(new AndroidMetrics(context), new AndroidEnergy(context));
    private int[] types = {CONSUMER, MEASUREMENT, MEASUREMENT};
    private long[] energies = {1, 3600000, 7200000};
    private long millis = 1000;
    private int code;

    /** Plays the service. */
    private final class Service implements InvocationHandler {
        @Override
        public Object invoke(Object proxy, Method method, Object[] values) throws Exception {
            Object receiver = values[values.length - 1];
            Bundle answer = new Bundle();
            if (method.getName().equals("getSupportedPowerMonitors")) {
                Class<?> type = Class.forName("android.os.PowerMonitor");
                Object[] monitors = (Object[]) Array.newInstance(type, types.length);
                for (int at = 0; at < types.length; at++) {
                    monitors[at] = type.getConstructor(int.class, int.class, String.class)
                        .newInstance(at, types[at], "monitor " + at);
                }
                Bundle.class.getMethod("putParcelableArray", String.class, parcelables())
                    .invoke(answer, "monitors", monitors);
            } else {
                int[] asked = (int[]) values[0];
                long[] energy = new long[asked.length];
                long[] times = new long[asked.length];
                for (int at = 0; at < asked.length; at++) {
                    energy[at] = energies[asked[at]];
                    times[at] = millis;
                }
                answer.putLongArray("energy", energy);
                answer.putLongArray("timestamps", times);
            }
            receiver.getClass().getMethod("send", int.class, Bundle.class).invoke(receiver, code, answer);
            return null;
        }
    }

    private static Class<?> parcelables() throws ClassNotFoundException {
        return Class.forName("[Landroid.os.Parcelable;");
    }

    private void connect() throws Exception {
        Object manager = context.getSystemService("systemhealth");
        Class<?> service = Class.forName("android.os.IPowerStatsService");
        Field field = manager.getClass().getDeclaredField("mPowerStats");
        field.setAccessible(true);
        field.set(manager, Proxy.newProxyInstance(service.getClassLoader(), new Class<?>[] {service}, new Service()));
    }

    @Test
    public void railsAreAddedUpInMilliwattHoursAndGivePower() throws Exception {
        connect();
        Sample first = notifier.sample();
        assertEquals(3.0, first.get(Metric.ENERGY).number(), 1e-9);
        assertEquals(Provenance.MEASURED, first.get(Metric.ENERGY).provenance());
        assertEquals(HEALTH + ": 2 rails", first.get(Metric.ENERGY).source());
        assertTrue(first.absent().get(Metric.POWER), first.absent().get(Metric.POWER).contains("needs a second reading"));
        energies[1] += 3000000;
        energies[2] += 1000000;
        millis += 2000;
        assertEquals(2.0, notifier.sample().get(Metric.POWER).number(), 1e-9);
    }

    @Test
    public void consumersAloneAreModelled() throws Exception {
        types = new int[] {CONSUMER};
        connect();
        assertEquals(Provenance.MODELLED, notifier.sample().get(Metric.ENERGY).provenance());
        assertEquals(HEALTH + ": 1 consumers", notifier.sample().get(Metric.ENERGY).source());
    }

    @Test
    public void aRailWithoutAReadingIsLeftOutAndGivesNoPower() throws Exception {
        connect();
        notifier.sample();
        energies[2] = -1;
        millis += 1000;
        Sample sample = notifier.sample();
        assertEquals(1.0, sample.get(Metric.ENERGY).number(), 1e-9);
        assertEquals(HEALTH + ": 1 rails", sample.get(Metric.ENERGY).source());
        assertNull(sample.get(Metric.POWER));
    }

    @Test
    public void aCounterThatRunsBackwardsGivesNoPower() throws Exception {
        connect();
        notifier.sample();
        energies[1] = 0;
        millis += 1000;
        assertTrue(notifier.sample().absent().get(Metric.POWER).contains("found -3.6 W"));
    }

    @Test
    public void whatTheServiceRefusesIsAbsentWithTheReason() throws Exception {
        connect();
        code = 1; // IPowerStatsService.RESULT_UNSUPPORTED_POWER_MONITOR
        String said = notifier.sample().absent().get(Metric.ENERGY);
        assertTrue(said, said.contains(HEALTH) && said.contains("IllegalArgumentException"));
    }

    @Test
    public void aDeviceWithoutMonitorsSaysSo() {
        Sample sample = notifier.sample();
        assertEquals(
            "AndroidEnergy reads it from Android 15 on; " + HEALTH + ": this device has no power monitors",
            sample.absent().get(Metric.ENERGY));
    }
}
