package dev.lawow;

/** How a {@link Reading} came about. Values of different provenance must never be added up in silence. */
public enum Provenance {
    /** Read from the device. */
    MEASURED,
    /** Computed from figures of a device. */
    MODELLED,
    /** Played back, or set. */
    EMULATED
}
