package dev.lawow;

import java.net.ProtocolException;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;

/**
 * An offloaded module: a lease with an instance on the edge. Calls go over the lease's data plane if it has one that can be
 * reached, else by HTTP. Any thread may call anything; calls wait, so none belongs on the main thread.
 */
public final class Offloaded {
    private static final String PROTOCOL = "lawow/1";
    private static final int MOST_PORT = 65535;

    final String lease;
    final String digest;
    final int transferredBytes;
    private final RemoteClient edge;
    private final String host;
    private final String token;
    private final boolean isShared;
    private Map<?, ?> endpoint;
    private String state;
    private DataClient data;
    private boolean isByHttp;

    /** {@code document} is the lease as it was selected; its token is told once. */
    Offloaded(RemoteClient edge, Map<?, ?> document, int transferredBytes, boolean isShared) throws ProtocolException {
        this.edge = edge;
        this.lease = Json.text(document, "lease");
        this.digest = Json.text(document, "module").replaceFirst("^sha256:", "");
        this.host = Json.text(document, "host");
        this.token = Json.text(document, "token");
        this.transferredBytes = transferredBytes;
        this.isShared = isShared;
        follow(document);
    }

    /** Takes over what the edge says of the lease; an endpoint that moved gets another connection. */
    synchronized void follow(Map<?, ?> document) throws ProtocolException {
        state = Json.text(document, "state");
        Object found = document.get("endpoint");
        Map<?, ?> next = found instanceof Map ? (Map<?, ?>) found : null;
        if (next == null ? endpoint != null : !next.equals(endpoint)) {
            closeData();
            endpoint = next;
            isByHttp = false;
        }
    }

    /** Returns the name of the host. */
    public String host() {
        return host;
    }

    /** Returns where the data plane is, as the edge tells it; null if the lease has none. */
    synchronized Map<?, ?> endpoint() {
        return endpoint;
    }

    /** Returns the lease's state as the edge told it last: {@code initialised}, {@code connected}, {@code dormant}, ... */
    public synchronized String state() {
        return state;
    }

    /** Returns how many bytes of the module were brought; 0 if the host had it. */
    public int transferredBytes() {
        return transferredBytes;
    }

    /** Returns the data plane, for channels; null if the lease has none. */
    public synchronized DataClient data() {
        if (endpoint == null || isByHttp) {
            return null;
        }
        if (data == null || data.isOver()) {
            data = connect();
        }
        return data;
    }

    /**
     * Calls an export in the lease's instance, as {@link Target#call}.
     *
     * @param deadlineMillis how long the call may take; 0 leaves it to the edge
     */
    public Object call(String export, String signature, long deadlineMillis, Object... arguments) {
        return call("session:" + lease, "/v1/leases/" + lease, export, signature, deadlineMillis, arguments);
    }

    /** Begins a call and returns at once; see {@link DataClient#start}. */
    public Future<Object> start(
            final String export, final String signature, final long deadlineMillis, final Object... arguments) {
        DataClient plane = data();
        if (plane != null) {
            return plane.start("session:" + lease, export, signature, deadlineMillis, arguments);
        }
        return edge.later(new Callable<Object>() {
            @Override
            public Object call() {
                return Offloaded.this.call(export, signature, deadlineMillis, arguments);
            }
        });
    }

    /** The way for calls of the module that need a fresh instance each: those of generated classes. */
    RemoteClient.Route fresh() {
        return new RemoteClient.Route() {
            @Override
            public Object call(String export, String signature, long deadlineMillis, Object[] arguments) {
                String name = "sha256:" + digest;
                return Offloaded.this.call(name, "/v1/modules/" + name, export, signature, deadlineMillis, arguments);
            }

            @Override
            public String edge() {
                return host + " by " + edge.authority();
            }
        };
    }

    private Object call(
            String target, String path, String export, String signature, long deadlineMillis, Object[] arguments) {
        DataClient plane = isShared && !target.startsWith("session:") ? null : data();
        if (plane == null) {
            return edge.callByHttp(path, export, signature, deadlineMillis, arguments);
        }
        try {
            return plane.call(target, export, signature, deadlineMillis, arguments);
        } catch (RemoteException error) {
            if (error.mayHaveRun() || !error.code().equals("unreachable")) {
                throw error;
            }
        }
        synchronized (this) {
            isByHttp = true; // until the endpoint is another one: a port that is blocked, a system without TLS 1.3
        }
        return edge.callByHttp(path, export, signature, deadlineMillis, arguments);
    }

    synchronized void closeData() {
        if (data != null) {
            data.close();
            data = null;
        }
    }

    private DataClient connect() {
        Object port = endpoint.get("port");
        boolean isPort = port instanceof Double && (Double) port >= 1 && (Double) port <= MOST_PORT;
        try {
            if (isPort && Json.text(endpoint, "protocol").equals(PROTOCOL)) {
                String pin = Json.text(endpoint, "certificate_sha256");
                return new DataClient(Json.text(endpoint, "host"), ((Double) port).intValue(), pin, token);
            }
        } catch (ProtocolException error) {
            throw new RemoteException("protocol", 0, false, edge.authority() + " " + error.getMessage(), error);
        }
        isByHttp = true;
        return null;
    }
}
