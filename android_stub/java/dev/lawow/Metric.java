package dev.lawow;

import java.util.Locale;

/**
 * Something that a {@link Notifier} reads. Names and units are those of {@code lawow.device.notifier} in Python. Currents
 * are counted from the battery's side: positive while it is charged.
 */
public enum Metric {
    /** Of all processors together, since the reading before. Android hides it from apps since version 8. */
    CPU_UTILISATION("%"),
    /** Of the busiest GPU. */
    GPU_UTILISATION("%"),
    /** Of the hottest sensor. */
    DEVICE_TEMPERATURE("°C"),
    /** Of the battery. */
    BATTERY_TEMPERATURE("°C"),
    /** Of what the strongest passive cooling in force could do. */
    THROTTLING("%"),
    /** Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown. */
    THERMAL_STATUS(""),
    /** Android's: at 1.0 throttling becomes severe. */
    THERMAL_HEADROOM(""),
    /** The charge. */
    BATTERY_LEVEL("%"),
    /** Of the battery. */
    BATTERY_VOLTAGE("V"),
    /** Into the battery. */
    BATTERY_CURRENT("A"),
    /** {@code charging}, {@code discharging}, {@code not charging} or {@code full}. */
    CHARGE_STATE("text"),
    /** That the processors draw, on Android all that is measured; modelled: that the device draws. */
    POWER("W"),
    /** That a device has counted so far; only differences mean something. */
    ENERGY("mWh"),
    /** {@code none}, {@code wifi}, {@code cellular}, {@code ethernet} or {@code other}. */
    NETWORK_KIND("text"),
    /** Of the network in use. */
    SIGNAL("dBm"),
    /** To the edge. */
    ROUND_TRIP("s"),
    /** That a transfer of the app reached. */
    THROUGHPUT("B/s"),
    /** Received since the device started. */
    BYTES_IN("B"),
    /** Sent since the device started. */
    BYTES_OUT("B");

    private final String unit;

    Metric(String unit) {
        this.unit = unit;
    }

    /** Returns the unit of all its readings; {@code text} for one whose values are words, "" for a bare number. */
    public String unit() {
        return unit;
    }

    /** Tells whether its values are words. */
    public boolean isText() {
        return unit.equals("text");
    }

    /** Returns its name as it stands in traces and in Python: {@code battery_level}. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }
}
