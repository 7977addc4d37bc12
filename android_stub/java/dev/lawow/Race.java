package dev.lawow;

import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Runs of one call, each with arguments of its own, on threads of a client. The first one that answers counts. */
final class Race {
    private final RemoteClient client;
    private final Object[] arguments;
    private final Cancel cancel = new Cancel();
    private final LinkedBlockingQueue<Run> ended = new LinkedBlockingQueue<>();

    /** One of them. */
    final class Run extends FutureTask<Object> {
        final boolean isRemote;
        final Object[] own;
        private final Work work;

        private Run(boolean isRemote, Work work) {
            super(work, null);
            this.isRemote = isRemote;
            this.own = work.own;
            this.work = work;
        }

        @Override
        protected void done() {
            ended.add(this);
            if (!isCancelled() && isAnswer()) {
                cancel.set(); // a guest that runs in the thread of the caller can only be stopped from here
            }
        }

        /** Tells of one that is over whether it gave the call's own result or error: nothing that another could better. */
        boolean isAnswer() {
            Throwable failure = failure();
            if (failure instanceof RemoteException) {
                return ElasticFunction.isResult((RemoteException) failure);
            }
            return !(failure instanceof IllegalStateException); // this app lacks a part
        }

        /** Of one that is over: returns the result and sets {@link Lawow#lastTiming}, or throws what the attempt threw. */
        Object result() {
            if (work.failure == null) {
                Lawow.setLastTiming(work.timing);
                return work.result;
            }
            work.failure.addSuppressed(new Throwable("called from here"));
            if (work.failure instanceof Error) {
                throw (Error) work.failure;
            }
            throw (RuntimeException) work.failure; // an attempt declares no other
        }

        /** Returns what the attempt threw, or null. */
        Throwable failure() {
            return work.failure;
        }

        long nanos() {
            return work.nanos;
        }

        /** Tells whether a thread is busy with it, although nobody waits any more. */
        boolean isUnderWay() {
            return work.isUnderWay;
        }
    }

    /** What a run does; its end is seen by whoever gets the run out of the queue. */
    private static final class Work implements Runnable {
        final Object[] own;
        private final Attempt attempt;
        private final Cancel cancel;
        private volatile boolean isUnderWay;
        private volatile long nanos;
        private volatile Timing timing;
        private volatile Object result;
        private volatile Throwable failure;

        Work(Attempt attempt, Object[] own, Cancel cancel) {
            this.attempt = attempt;
            this.own = own;
            this.cancel = cancel;
        }

        @Override
        public void run() {
            if (cancel.isSet()) {
                return;
            }
            isUnderWay = true;
            long start = System.nanoTime();
            try {
                result = attempt.run(own, cancel);
                timing = Lawow.lastTiming();
            } catch (RuntimeException error) {
                failure = error;
            } catch (Error error) {
                failure = error;
            } finally {
                nanos = System.nanoTime() - start;
                isUnderWay = false;
            }
        }
    }

    Race(RemoteClient client, Object[] arguments) {
        this.client = client;
        this.arguments = arguments;
    }

    /** Makes a run, for any thread. */
    Run prepare(boolean isRemote, Attempt attempt) {
        return new Run(isRemote, new Work(attempt, Outcome.copies(arguments), cancel));
    }

    /** Makes a run and begins it on a thread of the client, as soon as one is free. */
    Run start(boolean isRemote, Attempt attempt) {
        Run run = prepare(isRemote, attempt);
        client.execute(run);
        return run;
    }

    /** Returns the next one that has ended; null if none has in that time. */
    Run await(long nanos) throws InterruptedException {
        return ended.poll(nanos, TimeUnit.NANOSECONDS);
    }

    /** Returns the next one that has ended. */
    Run await() throws InterruptedException {
        return ended.take();
    }

    /** Stops those that still run, as far as they can be stopped; it does nothing to one that is over. */
    void end(Run... runs) {
        cancel.set();
        for (Run run : runs) {
            if (run != null) {
                run.cancel(true);
            }
        }
    }
}
