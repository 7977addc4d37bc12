package dev.lawow;

/**
 * Metrics from Android's framework: battery, thermal state, network, traffic. What a release, a device or the app's
 * permissions do not give is absent, with the reason; {@code ACCESS_NETWORK_STATE} is needed for kind and signal.
 *
 * <p>The battery's current is corrected where the vendor gives milliampere or turns the sign around, and its source says
 * in which unit the vendor gives it.
 */
public final class AndroidMetrics implements MetricSource {
    private static final String BATTERY = "android.os.BatteryManager";
    private static final String POWER = "android.os.PowerManager";
    private static final String CONNECTIVITY = "android.net.ConnectivityManager";
    private static final String CAPABILITIES = "android.net.NetworkCapabilities";
    private static final String TRAFFIC = "android.net.TrafficStats";
    private static final String BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED";

    /** Words for {@code BatteryManager.BATTERY_STATUS_*}. */
    private static final String[] STATES = {null, null, "charging", "discharging", "not charging", "full"};

    /** Words for {@code NetworkCapabilities.TRANSPORT_*}, by number. */
    private static final String[] TRANSPORTS = {"cellular", "wifi", "other", "ethernet"};

    private static final int CURRENT_NOW = 2; // BatteryManager.BATTERY_PROPERTY_CURRENT_NOW
    private static final int UNKNOWN = Integer.MIN_VALUE; // of properties and of signals
    private static final double MOST_MILLIVOLTS = 1e6;
    private static final double PERCENT = 100;

    private static final String HIDDEN = "Android shows it to no app";
    private static final Metric[] HIDDEN_METRICS = {
        Metric.CPU_UTILISATION, Metric.GPU_UTILISATION, Metric.DEVICE_TEMPERATURE, Metric.THROTTLING,
    };
    private static final String ELSEWHERE = "AndroidEnergy reads it from Android 15 on";

    private final Object context;
    private final CurrentCalibration calibration = new CurrentCalibration();

    /** Metrics that are read together, and are absent together if that fails. */
    private enum Group {
        BATTERY(Metric.BATTERY_LEVEL, Metric.BATTERY_VOLTAGE, Metric.BATTERY_TEMPERATURE),
        CURRENT(Metric.CHARGE_STATE, Metric.BATTERY_CURRENT),
        THERMAL_STATUS(Metric.THERMAL_STATUS),
        THERMAL_HEADROOM(Metric.THERMAL_HEADROOM),
        NETWORK(Metric.NETWORK_KIND, Metric.SIGNAL),
        RECEIVED(Metric.BYTES_IN),
        SENT(Metric.BYTES_OUT);

        final Metric[] metrics;

        Group(Metric... metrics) {
            this.metrics = metrics;
        }
    }

    /**
     * Makes a source.
     *
     * @param context an {@code android.content.Context}; that of the application, which may be kept
     * @throws IllegalArgumentException it is something else, or this is not Android
     */
    public AndroidMetrics(Object context) {
        this.context = Framework.requireContext(context);
    }

    @Override
    public void read(Sample sample) {
        for (Metric metric : HIDDEN_METRICS) {
            sample.absent(metric, HIDDEN);
        }
        sample.absent(Metric.ENERGY, ELSEWHERE);
        sample.absent(Metric.POWER, ELSEWHERE);
        for (Group group : Group.values()) {
            try {
                read(group, sample);
            } catch (Framework.Missing missing) {
                for (Metric metric : group.metrics) {
                    sample.absent(metric, missing.getMessage()); // has no effect on those that were read
                }
            }
        }
    }

    private void read(Group group, Sample sample) throws Framework.Missing {
        switch (group) {
            case BATTERY:
                battery(sample);
                break;
            case CURRENT:
                current(sample);
                break;
            case THERMAL_STATUS:
                thermalStatus(sample);
                break;
            case THERMAL_HEADROOM:
                thermalHeadroom(sample);
                break;
            case NETWORK:
                network(sample);
                break;
            case RECEIVED:
                traffic(sample, Metric.BYTES_IN, "getTotalRxBytes");
                break;
            default:
                traffic(sample, Metric.BYTES_OUT, "getTotalTxBytes");
        }
    }

    private void battery(Sample sample) throws Framework.Missing {
        Object intent = batteryIntent();
        int level = extra(intent, "level");
        int scale = extra(intent, "scale");
        String source = BATTERY_CHANGED + ": level ";
        if (level < 0 || scale <= 0 || level > scale) {
            sample.absent(Metric.BATTERY_LEVEL, source + level + " of " + scale);
        } else {
            measured(sample, Metric.BATTERY_LEVEL, PERCENT * level / scale, BATTERY_CHANGED);
        }
        int voltage = extra(intent, "voltage"); // mV
        if (voltage <= 0 || voltage > MOST_MILLIVOLTS) {
            sample.absent(Metric.BATTERY_VOLTAGE, BATTERY_CHANGED + ": found " + voltage + " mV");
        } else {
            measured(sample, Metric.BATTERY_VOLTAGE, voltage / 1e3, BATTERY_CHANGED);
        }
        int temperature = extra(intent, "temperature"); // tenths of a degree
        if (temperature == UNKNOWN) {
            sample.absent(Metric.BATTERY_TEMPERATURE, BATTERY_CHANGED + ": has no temperature");
        } else {
            measured(sample, Metric.BATTERY_TEMPERATURE, temperature / 10.0, BATTERY_CHANGED);
        }
    }

    private void current(Sample sample) throws Framework.Missing {
        int status = extra(batteryIntent(), "status");
        String state = status < 0 || status >= STATES.length ? null : STATES[status];
        if (state == null) {
            throw new Framework.Missing(BATTERY_CHANGED + ": found status " + status);
        }
        sample.put(Metric.CHARGE_STATE, state, Provenance.MEASURED, BATTERY_CHANGED);
        Object manager = Framework.service(context, "batterymanager");
        int raw = (Integer) Framework.call(BATTERY, manager, "getIntProperty", new Class<?>[] {int.class}, CURRENT_NOW);
        double amperes = raw == UNKNOWN ? Double.NaN : calibration.amperes(raw, state);
        if (Double.isNaN(amperes)) {
            sample.absent(Metric.BATTERY_CURRENT, BATTERY + ": found " + raw + ", unit " + calibration.unit());
        } else {
            measured(sample, Metric.BATTERY_CURRENT, amperes, BATTERY + " in " + calibration.unit());
        }
    }

    private void thermalStatus(Sample sample) throws Framework.Missing {
        Object status = Framework.call(POWER, Framework.service(context, "power"), "getCurrentThermalStatus");
        measured(sample, Metric.THERMAL_STATUS, (Integer) status, POWER);
    }

    /** NaN, which the sample takes for absent, is the answer of a device without it, and when it is asked too often. */
    private void thermalHeadroom(Sample sample) throws Framework.Missing {
        Object manager = Framework.service(context, "power");
        Object headroom = Framework.call(POWER, manager, "getThermalHeadroom", new Class<?>[] {int.class}, 0);
        measured(sample, Metric.THERMAL_HEADROOM, (Float) headroom, POWER);
    }

    private void network(Sample sample) throws Framework.Missing {
        Object manager = Framework.service(context, "connectivity");
        Object network = Framework.call(CONNECTIVITY, manager, "getActiveNetwork"); // since Android 6
        Class<?>[] types = {Framework.type("android.net.Network")};
        Object capabilities = network == null
            ? null
            : Framework.call(CONNECTIVITY, manager, "getNetworkCapabilities", types, network);
        String kind = capabilities == null ? "none" : transport(capabilities);
        sample.put(Metric.NETWORK_KIND, kind, Provenance.MEASURED, CONNECTIVITY);
        if (capabilities == null) {
            throw new Framework.Missing(CONNECTIVITY + ": no active network");
        }
        int signal = (Integer) Framework.call(CAPABILITIES, capabilities, "getSignalStrength"); // since Android 10
        if (signal == UNKNOWN) {
            throw new Framework.Missing(CAPABILITIES + ": this network has no signal strength");
        }
        measured(sample, Metric.SIGNAL, signal, CAPABILITIES);
    }

    private static String transport(Object capabilities) throws Framework.Missing {
        for (int at = TRANSPORTS.length - 1; at >= 0; at--) { // Wi-Fi before the modem that may stand by
            Class<?>[] types = {int.class};
            if ((Boolean) Framework.call(CAPABILITIES, capabilities, "hasTransport", types, at)) {
                return TRANSPORTS[at];
            }
        }
        return "other";
    }

    private static void traffic(Sample sample, Metric metric, String method) throws Framework.Missing {
        long bytes = (Long) Framework.call(TRAFFIC, null, method);
        if (bytes < 0) {
            throw new Framework.Missing(TRAFFIC + "." + method + ": this device does not count");
        }
        measured(sample, metric, bytes, TRAFFIC);
    }

    private Object batteryIntent() throws Framework.Missing {
        Object intent = Framework.sticky(context, BATTERY_CHANGED);
        if (intent == null) {
            throw new Framework.Missing(BATTERY_CHANGED + ": not sent yet");
        }
        return intent;
    }

    private static int extra(Object intent, String key) throws Framework.Missing {
        Class<?>[] types = {String.class, int.class};
        return (Integer) Framework.call("android.content.Intent", intent, "getIntExtra", types, key, UNKNOWN);
    }

    private static void measured(Sample sample, Metric metric, double value, String source) {
        sample.put(metric, value, Provenance.MEASURED, source);
    }
}
