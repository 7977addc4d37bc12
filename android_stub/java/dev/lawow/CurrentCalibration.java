package dev.lawow;

/**
 * Battery currents in ampere, whatever unit and sign the vendor gives them. Android says microampere, positive while
 * charging; some vendors give milliampere, and some turn the sign around.
 *
 * <p>A device that runs draws between 10 mA and 10 A: 10,000 to 10,000,000 in microampere, 10 to 10,000 in milliampere. So
 * the largest value tells the unit: above 10,000 it is microampere for good; up to 10,000, while discharging,
 * milliampere. A small value while charging can be either, and is no reading until the unit is known. The sign is that
 * of the charge state. The same rule as {@code lawow.device.notifier.calibration}.
 */
final class CurrentCalibration {
    private static final long BORDER = 10000;
    private static final double MICRO = 1e-6;
    private static final double MILLI = 1e-3;
    private static final double UNKNOWN = 0;
    private static final double MOST_AMPERES = 100;

    private double scale = UNKNOWN;

    /** Returns the current in A, positive while charging; NaN as long as the unit is not known. */
    double amperes(long raw, String chargeState) {
        boolean isDischarging = chargeState.equals("discharging");
        long size = Math.abs(raw);
        if (size > BORDER) {
            scale = MICRO;
        } else if (raw != 0 && isDischarging && scale == UNKNOWN) {
            scale = MILLI;
        }
        if (scale == UNKNOWN || size * scale > MOST_AMPERES) {
            return Double.NaN;
        }
        if (isDischarging) {
            return -size * scale;
        }
        return (chargeState.equals("charging") ? size : raw) * scale;
    }

    /** Returns the unit that the vendor gives: {@code µA}, {@code mA} or {@code unknown}. */
    String unit() {
        return scale == UNKNOWN ? "unknown" : scale == MICRO ? "µA" : "mA";
    }
}
