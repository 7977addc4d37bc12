package dev.lawow;

import java.net.ProtocolException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A call over the data plane. {@code get} gives what {@link Target#call} returns, or throws an ExecutionException whose
 * cause is the {@link Trap} or {@link RemoteException} that it throws; {@code cancel} tells the edge that nobody waits.
 */
final class DataCall implements Future<Object> {
    /** Beyond its deadline: for the way of a call and of its outcome. */
    private static final long GRACE_MILLIS = 5000;

    private static final double MICROS = 1e6;

    final String target;
    final String export;
    final Arguments arguments;
    final byte[] body;
    final long deadlineMillis;
    long id;
    private final DataClient client;
    private final long start = System.nanoTime();
    private final CountDownLatch done = new CountDownLatch(1);
    private Event outcome;
    private RuntimeException failure;
    private Object result;
    private boolean delivered;
    private boolean cancelled;

    /** {@code deadlineMillis}: of the call itself; 0 leaves it to the edge. */
    DataCall(DataClient client, String target, String export, Arguments arguments, long deadlineMillis) {
        this.client = client;
        this.target = target;
        this.export = export;
        this.arguments = arguments;
        this.body = arguments.body();
        this.deadlineMillis = deadlineMillis;
    }

    /** Tells which function it calls. */
    String key() {
        return target + "\n" + export + "\n" + arguments.signature;
    }

    /** Returns what is left of the deadline in microseconds, at least 1; 0 if the edge's own holds. */
    long deadlineMicros() {
        long left = 1000 * deadlineMillis - (System.nanoTime() - start) / 1000;
        return deadlineMillis == 0 ? 0 : Math.min(Math.max(left, 1), 0xffffffffL);
    }

    synchronized void finish(Event event) {
        outcome = event;
        done.countDown();
    }

    synchronized void fail(RuntimeException error) {
        failure = error;
        done.countDown();
    }

    /** Waits for the outcome, and returns or throws it. Beyond the deadline the call is cancelled. */
    Object await(long millis) {
        try {
            return get(millis + GRACE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException error) {
            Throwable cause = error.getCause();
            cause.addSuppressed(new Throwable("called from here"));
            throw (RuntimeException) cause;
        } catch (TimeoutException error) {
            boolean sent = client.giveUp(this);
            throw new RemoteException("deadline", 0, sent, "no answer from " + client + " within " + millis + " ms", error);
        } catch (InterruptedException error) {
            boolean sent = client.giveUp(this);
            Thread.currentThread().interrupt();
            throw new RemoteException("interrupted", 0, sent, "the calling thread was interrupted", error);
        }
    }

    @Override
    public Object get() throws InterruptedException, ExecutionException {
        done.await();
        return result();
    }

    @Override
    public Object get(long time, TimeUnit unit) throws InterruptedException, ExecutionException, TimeoutException {
        if (!done.await(time, unit)) {
            throw new TimeoutException();
        }
        return result();
    }

    @Override
    public boolean cancel(boolean mayInterrupt) {
        synchronized (this) {
            if (done.getCount() == 0) {
                return false;
            }
            cancelled = true;
            done.countDown();
        }
        client.giveUp(this);
        return true;
    }

    @Override
    public synchronized boolean isCancelled() {
        return cancelled;
    }

    @Override
    public boolean isDone() {
        return done.getCount() == 0;
    }

    private synchronized Object result() throws ExecutionException {
        if (cancelled) {
            throw new CancellationException();
        }
        if (!delivered && failure == null) {
            deliver();
        }
        if (failure != null) {
            throw new ExecutionException(failure);
        }
        return result;
    }

    private void deliver() {
        if (outcome.kind != Event.Kind.RETURNED) {
            failure = client.failure(outcome);
            return;
        }
        try {
            result = new Response(arguments, outcome.data).deliver();
            delivered = true;
        } catch (ProtocolException error) {
            failure = new RemoteException("protocol", 0, true, client + " " + error.getMessage(), error);
            return;
        }
        double all = (System.nanoTime() - start) / (1000 * MICROS);
        double prepare = outcome.first / MICROS;
        double run = outcome.second / MICROS;
        Lawow.setLastTiming(new Timing(Math.max(0, all - prepare - run), prepare, run, 0));
    }
}
