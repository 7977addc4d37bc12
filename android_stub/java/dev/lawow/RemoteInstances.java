package dev.lawow;

import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * Which objects of the app have an instance on the edge. Objects are told apart by identity and held weakly: when one
 * is collected, its instance is closed.
 */
final class RemoteInstances {
    private final RemoteClient client;
    private final ConcurrentMap<Key, RemoteInstance> instances = new ConcurrentHashMap<Key, RemoteInstance>();
    private final ReferenceQueue<Object> collected = new ReferenceQueue<Object>();
    private boolean started;

    RemoteInstances(RemoteClient client) {
        this.client = client;
    }

    /** An object's identity. Equal to itself for ever, and to other keys of the same object while that lives. */
    private static final class Key extends WeakReference<Object> {
        private final int hash;

        Key(Object self, ReferenceQueue<Object> queue) {
            super(self, queue);
            this.hash = System.identityHashCode(self);
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(Object other) {
            if (this == other) {
                return true;
            }
            Object self = get();
            return self != null && other instanceof Key && ((Key) other).get() == self;
        }
    }

    /** Returns the instance of an object; it has no session yet when it is new. */
    RemoteInstance of(Object self) {
        if (self == null) {
            throw new NullPointerException("an instance of null");
        }
        RemoteInstance known = instances.get(new Key(self, null));
        if (known != null) {
            return known;
        }
        startCleaner();
        RemoteInstance fresh = new RemoteInstance(client);
        RemoteInstance other = instances.putIfAbsent(new Key(self, collected), fresh);
        return other == null ? fresh : other;
    }

    private synchronized void startCleaner() {
        if (started) {
            return;
        }
        started = true;
        Thread thread = new Thread("lawow-sessions") {
            @Override
            public void run() {
                closeCollected();
            }
        };
        thread.setDaemon(true);
        thread.start();
    }

    private void closeCollected() {
        while (true) {
            try {
                Reference<?> key = collected.remove();
                RemoteInstance instance = instances.remove(key);
                if (instance != null) {
                    instance.close();
                }
            } catch (InterruptedException error) {
                continue; // nobody has a reason to interrupt this thread
            }
        }
    }
}
