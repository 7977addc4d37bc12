package dev.lawow;

import java.io.IOException;
import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The offload sequence of a device, over the HTTP API of the edge that {@link Configuration} names: request offers, select
 * one, bring the module if the host lacks it, get an instance; later fetch or replace its state, and recall it. It keeps
 * the list of what is offloaded.
 *
 * <p>From {@link #select} on, {@link Lawow#remote(String, String, String, Object[])} and {@link Lawow#elastic} call the
 * module over the data plane of its lease. Methods wait for the edge, so none belongs on the main thread; any thread may
 * call them. What the edge refuses is a {@link RemoteException} with its code.
 */
public final class OffloadHandler {
    private static final String STATE = "application/vnd.lawow.state";
    private static final int MOST_STATE_BYTES = 64 << 20;
    private static final int PART_BYTES = 1 << 20;
    private static final int TRIES = 5;
    private static final int KEY_BYTES = 18;
    private static final double NANOS = 1e9;

    private final RemoteClient edge;
    private final SecureRandom random = new SecureRandom();
    private final List<Offloaded> offloaded = new ArrayList<>();

    /** Uses the edge of {@link Configuration}; no I/O happens yet. */
    public OffloadHandler() {
        this(Lawow.remoteClient());
    }

    /** Uses the edge of a client. */
    public OffloadHandler(RemoteClient edge) {
        this.edge = edge;
    }

    /**
     * Announces a module and returns the edge's offers. The round trip is measured first, so that a latency can be asked
     * for.
     *
     * @param module as {@link Target#call} has it
     * @param requirements by the names of the edge's guide: {@code engine}, {@code memory_bytes}, {@code
     *     latency_seconds}, ...; whole numbers as Integer or Long
     */
    public Offers request(String module, Map<String, ?> requirements) {
        ModuleName name = ModuleName.parse(module);
        return request("module", "sha256:" + name.digest, name, requirements);
    }

    /** Asks for the instance that another device shares, as {@code NAME} or {@code OWNER/NAME}: nothing is transferred. */
    public Offers requestShared(String shared, Map<String, ?> requirements) {
        return request("shared", shared, null, requirements);
    }

    private Offers request(String key, String value, ModuleName module, Map<String, ?> requirements) {
        edge.exchange(RemoteRequest.document("GET", "/v1/health", null, false, RemoteRequest.none())); // connects
        long start = System.nanoTime();
        edge.exchange(RemoteRequest.document("GET", "/v1/health", null, false, RemoteRequest.none()));
        Map<String, Object> asked = new LinkedHashMap<>();
        asked.put(key, value);
        asked.put("requirements", requirements);
        asked.put("round_trip_seconds", (System.nanoTime() - start) / NANOS);
        try {
            return offers(module, post("/v1/offload-requests", asked));
        } catch (ProtocolException error) {
            throw protocol(error);
        }
    }

    private static Offers offers(ModuleName module, Map<?, ?> answer) throws ProtocolException {
        List<Offer> offers = new ArrayList<>();
        for (Map<?, ?> item : Json.objects(answer, "offers")) {
            offers.add(new Offer(item));
        }
        List<String> unmet = new ArrayList<>();
        for (Map<?, ?> item : Json.objects(answer, "unmet")) {
            unmet.add(Json.text(item, "host") + ": " + item.get("reasons"));
        }
        return new Offers(module, offers, unmet);
    }

    /**
     * Accepts an offer: the lease begins, the module is brought if the host lacks it, and gets an instance.
     *
     * @throws IllegalStateException the offer is of an edge of its own, or the host lacks the module and so does the app
     */
    public Offloaded select(Offers offers, Offer offer) {
        if (!offer.url().isEmpty()) {
            throw new IllegalStateException(offer.host() + " has an edge of its own at " + offer.url());
        }
        try {
            Map<?, ?> lease = post("/v1/leases", Collections.singletonMap("offer", offer.id));
            String path = path(Json.text(lease, "lease"));
            boolean begun = false;
            try {
                int sent = offers.module == null ? 0 : transfer(path, offers.module);
                Offloaded item = new Offloaded(edge, lease, sent, offers.module == null);
                item.follow(document("PUT", path + "/instance", new byte[0]));
                begun = true;
                return add(item);
            } finally {
                if (!begun) {
                    end(path);
                }
            }
        } catch (ProtocolException error) {
            throw protocol(error);
        }
    }

    private Offloaded add(Offloaded item) {
        synchronized (offloaded) {
            offloaded.add(item);
        }
        edge.setRoute(item.digest, item.fresh());
        return item;
    }

    /** Ends a lease that did not come about; what failed first is what the caller has to know. */
    private void end(String path) {
        try {
            edge.exchange(RemoteRequest.document("DELETE", path, null, false, RemoteRequest.none()));
        } catch (RemoteException error) {
            return; // it runs out by itself
        }
    }

    /** Gives a dormant module an instance again; nothing is transferred, and its memory is as at the beginning. */
    public void reactivate(Offloaded item) {
        try {
            item.follow(document("PUT", path(item.lease) + "/instance", new byte[0]));
        } catch (ProtocolException error) {
            throw protocol(error);
        }
    }

    /** Asks the edge what became of a lease, and renews nothing. */
    public void refresh(Offloaded item) {
        try {
            item.follow(document("GET", path(item.lease), null));
        } catch (ProtocolException error) {
            throw protocol(error);
        }
    }

    /** Returns the state of the instance, which goes on; {@link InstanceState} takes it. At most 64 MiB. */
    public byte[] synchronise(Offloaded item) {
        return edge.exchange(RemoteRequest.bytes(path(item.lease) + "/state", STATE, MOST_STATE_BYTES));
    }

    /** Replaces the state of the instance by one that an instance of the same module had. */
    public void synchronise(Offloaded item, byte[] state) {
        edge.exchange(RemoteRequest.nothing("PUT", path(item.lease) + "/state", state, STATE, RemoteRequest.none()));
    }

    /** Brings the state home, then ends the lease; the lease ends only once the state is here. */
    public byte[] recall(Offloaded item) {
        byte[] state = synchronise(item);
        release(item);
        return state;
    }

    /** Ends the lease without its state. */
    public void release(Offloaded item) {
        try {
            item.follow(document("DELETE", path(item.lease), null));
        } catch (ProtocolException error) {
            throw protocol(error);
        }
        item.closeData();
        edge.setRoute(item.digest, null);
        synchronized (offloaded) {
            offloaded.remove(item);
        }
    }

    /** Shares the instance under a name with the own tenant's devices, and with those of other tenants. */
    public void share(Offloaded item, String name, String... tenants) {
        Map<String, Object> asked = new HashMap<>();
        asked.put("lease", item.lease);
        asked.put("tenants", tenants);
        byte[] body = Json.write(asked).getBytes(StandardCharsets.UTF_8);
        edge.exchange(RemoteRequest.document("PUT", "/v1/shared-modules/" + name, body, false, RemoteRequest.none()));
    }

    /** Returns what is offloaded now. */
    public List<Offloaded> offloaded() {
        synchronized (offloaded) {
            return new ArrayList<>(offloaded);
        }
    }

    /** Brings the module, from where an earlier try ended, and returns the number of bytes that were sent. */
    private int transfer(String lease, ModuleName module) throws ProtocolException {
        int sent = 0;
        byte[] wasm = null;
        for (int triesLeft = TRIES - 1; ; triesLeft--) {
            try {
                RemoteCall told = edge.ask(
                    RemoteRequest.nothing("HEAD", lease + "/module", null, null, RemoteRequest.none()));
                while (!"?1".equals(told.header("Upload-Complete"))) {
                    wasm = wasm == null ? module.read() : wasm;
                    int offset = offset(told.header("Upload-Offset"), wasm.length);
                    int size = Math.min(PART_BYTES, wasm.length - offset);
                    told = edge.ask(part(lease, wasm, offset, size));
                    sent += size;
                }
                return sent;
            } catch (RemoteException error) {
                boolean isLost = error.code().equals("lost") || error.code().equals("unreachable");
                if (!isLost || triesLeft == 0) {
                    throw error;
                }
            }
        }
    }

    private static RemoteRequest part(String lease, byte[] wasm, int offset, int size) {
        byte[] part = new byte[size];
        System.arraycopy(wasm, offset, part, 0, size);
        Map<String, String> headers = new HashMap<>();
        headers.put("Upload-Offset", String.valueOf(offset));
        headers.put("Upload-Complete", offset + size == wasm.length ? "?1" : "?0");
        // PATCH is the usual word for it, which java.net.HttpURLConnection does not know.
        return RemoteRequest.nothing("POST", lease + "/module", part, "application/partial-upload", headers);
    }

    /** Returns where the upload continues. Throws for what is no place in the module. */
    private static int offset(String text, int size) throws ProtocolException {
        if (text == null || !text.matches("[0-9]{1,9}") || Integer.parseInt(text) > size) {
            throw new ProtocolException("answers that the upload continues at " + text);
        }
        return Integer.parseInt(text);
    }

    /** Sends a document, and once more if the answer was lost: the key sees to it that it has its effect once. */
    private Map<?, ?> post(String path, Map<String, ?> document) throws ProtocolException {
        byte[] key = new byte[KEY_BYTES];
        random.nextBytes(key);
        byte[] body = Json.write(document).getBytes(StandardCharsets.UTF_8);
        Map<String, String> headers = Collections.singletonMap("Idempotency-Key", Hex.encode(key));
        RemoteRequest request = RemoteRequest.document("POST", path, body, true, headers);
        byte[] answer;
        try {
            answer = edge.exchange(request);
        } catch (RemoteException error) {
            if (!error.code().equals("lost")) {
                throw error;
            }
            answer = edge.exchange(request);
        }
        return Json.object(new String(answer, StandardCharsets.UTF_8));
    }

    private Map<?, ?> document(String method, String path, byte[] body) throws ProtocolException {
        byte[] answer = edge.exchange(RemoteRequest.document(method, path, body, false, RemoteRequest.none()));
        return Json.object(new String(answer, StandardCharsets.UTF_8));
    }

    private static String path(String lease) {
        if (!lease.matches("[0-9a-f]{32}")) {
            throw new RemoteException("protocol", 0, false, "the edge answers with a lease that is none", null);
        }
        return "/v1/leases/" + lease;
    }

    private RemoteException protocol(IOException error) {
        return new RemoteException("protocol", 0, true, edge.authority() + " " + error.getMessage(), error);
    }
}
