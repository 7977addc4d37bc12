import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.content.Intent;
import android.os.Handler;
import android.os.Looper;
import dev.lawow.AndroidMetrics;
import dev.lawow.Metric;
import dev.lawow.Notifier;
import dev.lawow.Provenance;
import dev.lawow.Reading;
import dev.lawow.Sample;
import dev.lawow.Trigger;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;
import org.robolectric.shadow.api.Shadow;
import org.robolectric.shadows.ShadowBatteryManager;
import org.robolectric.shadows.ShadowConnectivityManager;
import org.robolectric.shadows.ShadowLooper;
import org.robolectric.shadows.ShadowPowerManager;

/**
 * Android's own classes of battery, power and network, whose state the tests set. What the Android that this is compiled
 * against lacks is called by name.
 */
@RunWith(RobolectricTestRunner.class)
@Config(manifest = Config.NONE)
public final class OnAndroid {
    private static final int DISCHARGING = 3; // BatteryManager.BATTERY_STATUS_DISCHARGING
    private static final int CURRENT_NOW = 2; // BatteryManager.BATTERY_PROPERTY_CURRENT_NOW
    private static final int SEVERE = 3; // PowerManager.THERMAL_STATUS_SEVERE
    private static final int[] TRANSPORTS = {0, 1, 3, 4}; // NetworkCapabilities: cellular, Wi-Fi, Ethernet, VPN

    private final Context context = RuntimeEnvironment.getApplication();
    private final Notifier notifier = new Notifier(new AndroidMetrics(context));

    private void battery(int level, int scale, int millivolts, int tenths, int status, int current) {
        Intent intent = new Intent(Intent.ACTION_BATTERY_CHANGED)
            .putExtra("level", level)
            .putExtra("scale", scale)
            .putExtra("voltage", millivolts)
            .putExtra("temperature", tenths)
            .putExtra("status", status);
        context.sendStickyBroadcast(intent);
        ShadowBatteryManager manager = Shadow.extract(context.getSystemService("batterymanager"));
        manager.setIntProperty(CURRENT_NOW, current);
    }

    private static void assertNumber(double wanted, Sample sample, Metric metric) {
        Reading reading = sample.get(metric);
        assertTrue(metric + " is absent: " + sample.absent().get(metric), reading != null);
        assertEquals(wanted, reading.number(), 1e-6);
        assertEquals(Provenance.MEASURED, reading.provenance());
    }

    @Test
    public void theBatteryIsReadInItsUnits() {
        battery(21, 50, 3850, 314, DISCHARGING, -350000);
        Sample sample = notifier.sample();
        assertNumber(42, sample, Metric.BATTERY_LEVEL);
        assertNumber(3.85, sample, Metric.BATTERY_VOLTAGE);
        assertNumber(31.4, sample, Metric.BATTERY_TEMPERATURE);
        assertNumber(-0.35, sample, Metric.BATTERY_CURRENT);
        assertEquals("discharging", sample.get(Metric.CHARGE_STATE).text());
        assertEquals("android.os.BatteryManager in µA", sample.get(Metric.BATTERY_CURRENT).source());
    }

    @Test
    public void milliampereAndATurnedSignAreCorrectedAndNamed() {
        battery(42, 100, 3850, 314, DISCHARGING, 350);
        Sample sample = notifier.sample();
        assertNumber(-0.35, sample, Metric.BATTERY_CURRENT);
        assertEquals("android.os.BatteryManager in mA", sample.get(Metric.BATTERY_CURRENT).source());
    }

    @Test
    public void nonsenseIsAbsentWithWhatWasFound() {
        battery(7, 0, -1, 314, 99, Integer.MIN_VALUE);
        Sample sample = notifier.sample();
        assertEquals("android.intent.action.BATTERY_CHANGED: level 7 of 0", sample.absent().get(Metric.BATTERY_LEVEL));
        assertEquals("android.intent.action.BATTERY_CHANGED: found -1 mV", sample.absent().get(Metric.BATTERY_VOLTAGE));
        assertEquals("android.intent.action.BATTERY_CHANGED: found status 99", sample.absent().get(Metric.CHARGE_STATE));
        assertNumber(31.4, sample, Metric.BATTERY_TEMPERATURE);
        battery(7, 100, 3850, 314, DISCHARGING, Integer.MIN_VALUE);
        assertEquals(
            "android.os.BatteryManager: found -2147483648, unit unknown",
            notifier.sample().absent().get(Metric.BATTERY_CURRENT));
    }

    @Test
    public void withoutABatteryAllOfItIsAbsent() {
        Sample sample = notifier.sample();
        assertNull(sample.get(Metric.BATTERY_LEVEL));
        assertEquals("android.intent.action.BATTERY_CHANGED: not sent yet", sample.absent().get(Metric.BATTERY_CURRENT));
    }

    @Test
    public void thermalStateIsRead() {
        ShadowPowerManager power = Shadow.extract(context.getSystemService("power"));
        power.setCurrentThermalStatus(SEVERE);
        assertNumber(3, notifier.sample(), Metric.THERMAL_STATUS);
    }

    /** Here nobody answers Android's own method; that it was found and called is what can be seen. */
    @Test
    public void headroomIsAskedFor() {
        String lookedAt = notifier.sample().absent().get(Metric.THERMAL_HEADROOM);
        assertTrue(lookedAt, lookedAt.startsWith("android.os.PowerManager"));
        assertFalse(lookedAt, lookedAt.contains("does not have it"));
    }

    @Test
    public void theKindOfTheNetworkFollowsItsTransport() throws Exception {
        List<String> kinds = new ArrayList<>();
        for (int transport : TRANSPORTS) {
            Object capabilities = Class.forName("android.net.NetworkCapabilities").getConstructor().newInstance();
            call(capabilities, "addTransportType", transport);
            setCapabilities(capabilities);
            kinds.add(notifier.sample().get(Metric.NETWORK_KIND).text());
            assertEquals(
                "android.net.NetworkCapabilities: this network has no signal strength",
                notifier.sample().absent().get(Metric.SIGNAL));
            call(capabilities, "setSignalStrength", -53);
            setCapabilities(capabilities);
            assertNumber(-53, notifier.sample(), Metric.SIGNAL);
        }
        assertEquals(Arrays.asList("cellular", "wifi", "ethernet", "other"), kinds);
        ShadowConnectivityManager shadow = Shadow.extract(context.getSystemService("connectivity"));
        shadow.setActiveNetworkInfo(null);
        assertEquals("none", notifier.sample().get(Metric.NETWORK_KIND).text());
    }

    private void setCapabilities(Object capabilities) throws Exception {
        Object manager = context.getSystemService("connectivity");
        Object network = manager.getClass().getMethod("getActiveNetwork").invoke(manager);
        ShadowConnectivityManager shadow = Shadow.extract(manager);
        for (Method method : shadow.getClass().getMethods()) {
            if (method.getName().equals("setNetworkCapabilities")) {
                method.invoke(shadow, network, capabilities);
                return;
            }
        }
        throw new NoSuchMethodException("setNetworkCapabilities");
    }

    private static void call(Object target, String method, int value) throws Exception {
        target.getClass().getMethod(method, int.class).invoke(target, value);
    }

    @Test
    public void everyMetricIsReadOrSaysWhyNot() {
        battery(42, 100, 3850, 314, DISCHARGING, -350000);
        Sample sample = notifier.sample();
        for (Metric metric : Metric.values()) {
            boolean isApps = metric == Metric.ROUND_TRIP || metric == Metric.THROUGHPUT; // what the app reports
            boolean isKnown = sample.get(metric) != null ^ sample.absent().containsKey(metric);
            assertTrue(metric + " " + sample.absent().get(metric), isApps ^ isKnown);
        }
        assertEquals("Android shows it to no app", sample.absent().get(Metric.CPU_UTILISATION));
    }

    @Test
    public void aLowBatteryTellsTheApp() {
        List<String> heard = new ArrayList<>();
        notifier.subscribe(
            Trigger.allOf(
                Trigger.below(Metric.BATTERY_LEVEL, 30, 5, 0), Trigger.equals(Metric.CHARGE_STATE, "discharging", 0)),
            new Handler(Looper.getMainLooper())::post,
            (active, sample) -> heard.add(active + " at " + sample.get(Metric.BATTERY_LEVEL).number()));
        for (int level : new int[] {50, 29, 33, 36}) {
            battery(level, 100, 3850, 314, DISCHARGING, -350000);
            notifier.sample();
        }
        ShadowLooper.idleMainLooper();
        assertEquals(Arrays.asList("true at 29.0", "false at 36.0"), heard);
    }
}
