package dev.lawow;

import java.util.Locale;

/**
 * What the device draws by a notifier's newest sample: current times voltage of a battery that is discharged, or else {@link
 * Metric#POWER}. A sample from before the call was measured, but what it says of the call is {@link Provenance#MODELLED}.
 */
public final class BatteryMeter implements EnergyLedger.Meter {
    private final Notifier notifier;

    /** The notifier runs by itself, or is asked for samples by the app. */
    public BatteryMeter(Notifier notifier) {
        this.notifier = notifier;
    }

    @Override
    public EnergyLedger.Draw during(boolean isRemote, double startSeconds) {
        Sample sample = notifier.latest();
        Reading current = sample.get(Metric.BATTERY_CURRENT);
        Reading voltage = sample.get(Metric.BATTERY_VOLTAGE);
        double age = startSeconds - sample.seconds();
        if (current != null && voltage != null && current.number() < 0) {
            boolean isSame = voltage.provenance() == current.provenance();
            Provenance provenance = isSame ? current.provenance() : Provenance.MODELLED;
            return draw(-current.number() * voltage.number(), provenance, current.source(), age);
        }
        Reading power = sample.get(Metric.POWER);
        boolean isKnown = power != null && power.number() >= 0;
        return isKnown ? draw(power.number(), power.provenance(), power.source(), age) : null;
    }

    /** {@code age}: how many seconds before the call the sample was taken; negative within the call. */
    private static EnergyLedger.Draw draw(double watts, Provenance provenance, String source, double age) {
        if (age <= 0) {
            return new EnergyLedger.Draw(watts, provenance, source);
        }
        Provenance weaker = provenance == Provenance.MEASURED ? Provenance.MODELLED : provenance;
        String told = source + String.format(Locale.ROOT, ", %.1f s before the call", age);
        return new EnergyLedger.Draw(watts, weaker, told);
    }
}
