package dev.lawow;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.MalformedURLException;
import java.net.ProtocolException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.HttpsURLConnection;

/**
 * Calls to the edge over its HTTP API. The caller waits while threads of this class do the I/O, because Android forbids
 * network I/O on the main thread; a call from there still freezes the screen for as long as it takes. A call is sent at
 * most once: nothing is ever repeated behind the caller's back.
 */
public final class RemoteClient implements Target {
    private static final int THREADS = 8;
    private static final int IDLE_SECONDS = 30;

    private final URI edge;
    private final String token;
    private final int timeoutMillis;
    private final int responseBytes;
    private final PinnedTrust trust;
    private final ThreadPoolExecutor executor;
    private final RemoteInstances instances = new RemoteInstances(this);
    private final ConcurrentMap<String, Route> routes = new ConcurrentHashMap<>();

    /** A way to call a module other than this client's own: what is offloaded has a data plane. */
    interface Route {
        /** Calls an export in an instance of its own, as {@link Target#call}; a deadline of 0 leaves that to the edge. */
        Object call(String export, String signature, long deadlineMillis, Object[] arguments);

        /** Returns what it leads to, for people, and to tell edges apart. */
        String edge();
    }

    /**
     * Prepares a client; no I/O happens before the first call.
     *
     * @throws IllegalStateException the configuration is unusable
     */
    public RemoteClient(Configuration configuration) {
        this.edge = configuration.edge();
        this.token = configuration.token();
        this.timeoutMillis = configuration.remoteTimeoutMillis();
        this.responseBytes = configuration.responseBytes();
        String pin = configuration.certificateSha256();
        this.trust = pin == null ? null : new PinnedTrust(pin);
        this.executor = new ThreadPoolExecutor(
            THREADS, THREADS, IDLE_SECONDS, TimeUnit.SECONDS, new LinkedBlockingQueue<Runnable>(), new Threads());
        this.executor.allowCoreThreadTimeOut(true);
    }

    /** Daemon threads: a call that hangs does not keep a process alive. */
    private static final class Threads implements ThreadFactory {
        private final AtomicInteger count = new AtomicInteger();

        @Override
        public Thread newThread(Runnable work) {
            return new Worker(work, "lawow-remote-" + count.incrementAndGet());
        }
    }

    /** A thread of some client, which may do I/O itself: work that waits for other work of its kind could wait for ever. */
    private static final class Worker extends Thread {
        Worker(Runnable work, String name) {
            super(work, name);
            setDaemon(true);
        }
    }

    @Override
    public Object call(String module, String export, String signature, Object... arguments) {
        return callWithin(0, ModuleName.parse(module).digest, export, signature, arguments);
    }

    /** Calls an export of the module with this digest; {@code deadlineMillis} of 0 leaves that to the edge. */
    Object callWithin(long deadlineMillis, String digest, String export, String signature, Object... arguments) {
        Route route = routes.get(digest);
        if (route != null) {
            return route.call(export, signature, deadlineMillis, arguments);
        }
        return callByHttp("/v1/modules/sha256:" + digest, export, signature, deadlineMillis, arguments);
    }

    /** Calls an export of what has this path; {@code deadlineMillis} of 0 leaves that to the edge. */
    Object callByHttp(String owner, String export, String signature, long deadlineMillis, Object[] arguments) {
        Arguments values = new Arguments(Signature.parse(signature), arguments);
        return results(RemoteRequest.call(owner, export, values, responseBytes, deadlineMillis), values);
    }

    /** Lets calls of a module go another way, or with null its own again. */
    void setRoute(String digest, Route route) {
        if (route == null) {
            routes.remove(digest);
        } else {
            routes.put(digest, route);
        }
    }

    /** Calls an export in the one instance on the edge that belongs to {@code self}, made when it is first needed. */
    Object callInstance(Object self, String module, String export, String signature, Object[] arguments) {
        Arguments values = new Arguments(Signature.parse(signature), arguments);
        String session = instances.of(self).session(ModuleName.parse(module));
        return results(RemoteRequest.call("/v1/sessions/" + session, export, values, responseBytes, 0), values);
    }

    /** Runs work on a thread of this client, and returns at once. */
    <T> Future<T> later(Callable<T> work) {
        return executor.submit(work);
    }

    /** Has work run by a thread of this client, if one is free, and returns at once. */
    void execute(Runnable work) {
        executor.execute(work);
    }

    String authority() {
        return edge.getAuthority();
    }

    /** Returns where calls of the module with this digest go. */
    String edgeOf(String digest) {
        Route route = routes.get(digest);
        return route == null ? authority() : route.edge();
    }

    RemoteInstances instances() {
        return instances;
    }

    private Object results(RemoteRequest request, Arguments arguments) {
        byte[] answer = exchange(request);
        try {
            return new Response(arguments, answer).deliver();
        } catch (ProtocolException error) {
            throw new RemoteException("protocol", 0, true, edge.getAuthority() + " " + error.getMessage(), error);
        }
    }

    /** Opens a session and returns its id. A failure says that no function ran, for none was asked for. */
    String openSession(ModuleName module) {
        String answer;
        try {
            answer = new String(exchange(RemoteRequest.openSession(module)), StandardCharsets.UTF_8);
        } catch (RemoteException error) {
            throw new RemoteException(error.code(), error.status(), false, error.getMessage(), error);
        }
        String session = Problem.text(answer, "session");
        if (session == null || !session.matches("[A-Za-z0-9_-]{1,200}")) {
            throw new RemoteException(
                "protocol", 0, false, edge.getAuthority() + " answers without the id of a session", null);
        }
        return session;
    }

    /** Begins to close a session and returns at once. Should that fail, the edge closes idle sessions itself. */
    void closeSession(String session) {
        RemoteRequest request = RemoteRequest.closeSession(session);
        executor.submit(new RemoteCall(open(request.path), request, timeoutMillis));
    }

    /** Sends a request, waits for its answer and returns the answer's body. */
    byte[] exchange(RemoteRequest request) {
        return exchange(new RemoteCall(open(request.path), request, timeoutMillis));
    }

    /** Sends a request and waits; the call then has the lines of the answer's header. */
    RemoteCall ask(RemoteRequest request) {
        RemoteCall call = new RemoteCall(open(request.path), request, timeoutMillis);
        exchange(call);
        return call;
    }

    private byte[] exchange(RemoteCall call) {
        byte[] body = Thread.currentThread() instanceof Worker ? call.call() : awaited(call);
        Lawow.setLastTiming(call.timing());
        return body;
    }

    private byte[] awaited(RemoteCall call) {
        Future<byte[]> answer = executor.submit(call);
        try {
            return answer.get(timeoutMillis, TimeUnit.MILLISECONDS);
        } catch (ExecutionException error) {
            throw unwrap(error);
        } catch (TimeoutException error) {
            answer.cancel(true);
            throw call.abandon("deadline", "no answer from " + edge + " within " + timeoutMillis + " ms", error);
        } catch (InterruptedException error) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw call.abandon("interrupted", "the calling thread was interrupted", error);
        }
    }

    /** Prepares the connection of one call; nothing is sent yet. */
    private HttpURLConnection open(String path) {
        String url = edge + path;
        HttpURLConnection connection;
        try {
            connection = (HttpURLConnection) new URL(url).openConnection();
        } catch (MalformedURLException error) {
            throw new IllegalStateException("edge: not a usable URL: " + url, error);
        } catch (IOException error) {
            throw new RemoteException("unreachable", 0, false, edge + ": " + error.getMessage(), error);
        }
        if (trust != null && connection instanceof HttpsURLConnection) {
            trust.applyTo((HttpsURLConnection) connection);
        }
        if (token != null) {
            connection.setRequestProperty("Authorization", "Bearer " + token);
        }
        return connection;
    }

    /** Gives the caller the worker's own exception, with the caller's frames beside the worker's. */
    private static RuntimeException unwrap(ExecutionException error) {
        Throwable cause = error.getCause();
        if (cause instanceof RuntimeException) {
            cause.addSuppressed(new Throwable("called from here"));
            return (RuntimeException) cause;
        }
        if (cause instanceof Error) {
            throw (Error) cause;
        }
        throw new AssertionError(cause);
    }
}
