package dev.lawow;

import java.net.ProtocolException;
import java.util.Collections;
import java.util.Map;

/** A host that takes a module, as {@link OffloadHandler#request} gives it. */
public final class Offer {
    final String id;
    private final String host;
    private final String url;
    private final double expiresUnix;
    private final Map<?, ?> facts;

    Offer(Map<?, ?> document) throws ProtocolException {
        Object found = document.get("host");
        Object expires = document.get("expires_unix");
        if (!(found instanceof Map) || !(expires instanceof Double)) {
            throw new ProtocolException("answers with an offer that is none");
        }
        this.facts = Collections.unmodifiableMap((Map<?, ?>) found);
        this.id = Json.text(document, "offer");
        this.host = Json.text(facts, "name");
        this.url = facts.get("url") == null ? "" : Json.text(facts, "url");
        this.expiresUnix = (Double) expires;
    }

    /** Returns the host's name. */
    public String host() {
        return host;
    }

    /** Returns the URL of the host's own edge, or an empty text for the edge that was asked. */
    public String url() {
        return url;
    }

    /** Returns when the offer ends, in seconds since 1970. */
    public double expiresUnix() {
        return expiresUnix;
    }

    /** Returns the host's capabilities and figures, as the edge's guide has them: texts, Doubles, maps, lists. */
    public Map<?, ?> facts() {
        return facts;
    }
}
