package dev.lawow;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/** What stands on the edge for one object of the app: a session for each module that its class calls. */
final class RemoteInstance {
    private final RemoteClient client;
    private final ConcurrentMap<String, String> sessions = new ConcurrentHashMap<String, String>();
    private volatile boolean closed;
    private volatile boolean local;

    RemoteInstance(RemoteClient client) {
        this.client = client;
    }

    /**
     * Returns the id of the module's session, opening it at the first call.
     *
     * @throws IllegalStateException the instance is closed
     * @throws RemoteException the session cannot be opened
     */
    String session(ModuleName module) {
        requireOpen();
        String session = sessions.get(module.digest);
        return session == null ? open(module) : session;
    }

    private synchronized String open(ModuleName module) {
        String session = sessions.get(module.digest);
        if (session == null) {
            session = client.openSession(module);
            sessions.put(module.digest, session);
        }
        if (closed) { // meanwhile, by another thread, which may have missed this session
            close();
            requireOpen();
        }
        return session;
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the instance on the edge is closed");
        }
    }

    /** Closes the sessions; does no I/O on this thread. */
    void close() {
        closed = true;
        for (String module : sessions.keySet()) {
            String session = sessions.remove(module);
            if (session != null) {
                client.closeSession(session);
            }
        }
    }

    /** Tells whether the edge holds state of this object. */
    boolean isOpen() {
        return !sessions.isEmpty();
    }

    /** Tells whether the object's state was given to this device, where it then stays. */
    boolean isLocal() {
        return local;
    }

    void stayLocal() {
        local = true;
    }
}
