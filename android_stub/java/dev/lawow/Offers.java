package dev.lawow;

import java.util.Collections;
import java.util.List;

/** What came of a request: hosts that take the module, and why others do not. */
public final class Offers {
    final ModuleName module;
    private final List<Offer> offers;
    private final List<String> unmet;

    Offers(ModuleName module, List<Offer> offers, List<String> unmet) {
        this.module = module;
        this.offers = Collections.unmodifiableList(offers);
        this.unmet = Collections.unmodifiableList(unmet);
    }

    /** Returns the offers; empty if no host meets the requirements. */
    public List<Offer> offers() {
        return offers;
    }

    /** Returns a line for each host that is not offered. */
    public List<String> unmet() {
        return unmet;
    }
}
