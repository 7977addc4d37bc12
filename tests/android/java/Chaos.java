package dev.lawow;

import java.net.ProtocolException;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Scanner;

/**
 * Calls an elastic function over a lease whose data plane goes over a link of the test's. Prints the port of the plane and
 * reads that of the link; then {@code CALLS} results, and what the test asks for in between.
 */
public final class Chaos {
    private static final int CALLS = 1000;

    public static void main(String[] words) throws Exception {
        OffloadHandler handler = new OffloadHandler();
        Offers offers = handler.request(words[1], Collections.<String, Object>emptyMap());
        Offloaded lease = handler.select(offers, offers.offers().get(0));
        Scanner in = new Scanner(System.in, "UTF-8");
        System.out.println(((Double) lease.endpoint().get("port")).intValue());
        redirect(lease, in.nextInt());
        if (words[0].equals("counts")) {
            counts(words[1], lease);
        } else if (words[0].equals("spins")) {
            spins(words[1], lease);
            in.next();
        } else {
            squares(words[1], words[0].equals("guarded"), in);
        }
        System.exit(0);
    }

    private static void redirect(Offloaded lease, int port) throws ProtocolException {
        Map<String, Object> endpoint = new HashMap<>();
        for (Map.Entry<?, ?> entry : lease.endpoint().entrySet()) {
            endpoint.put((String) entry.getKey(), entry.getValue());
        }
        endpoint.put("port", (double) port);
        Map<String, Object> document = new HashMap<>();
        document.put("state", lease.state());
        document.put("endpoint", endpoint);
        lease.follow(document);
    }

    /** A counter on the edge that runs in one instance, and a counter here: each call that counts does so once. */
    private static void counts(String module, final Offloaded lease) {
        Lawow.remoteClient().setRoute(ModuleName.parse(module).digest, new RemoteClient.Route() {
            @Override
            public Object call(String export, String signature, long deadlineMillis, Object[] arguments) {
                return lease.data().call("session:" + lease.lease, export, signature, deadlineMillis, arguments);
            }

            @Override
            public String edge() {
                return lease.host();
            }
        });
        int[] here = new int[1];
        ElasticFunction add = new ElasticFunction.Builder(module, "add", "i>i")
            .policy(ElasticPolicy.REMOTE)
            .breaker(new Breaker(2, 20, 50))
            .here(arguments -> "here " + ++here[0])
            .build();
        int unknown = 0;
        for (int call = 0; call < CALLS; call++) {
            try {
                System.out.println(add.call(1));
            } catch (RemoteException error) {
                unknown += error.mayHaveRun() ? 1 : 0;
                System.out.println("unknown " + error.code());
            }
        }
        System.out.println("calls " + CALLS + " unknown " + unknown);
    }

    /** A call that the edge would never answer: it runs here as well, and the edge is told to stop. */
    private static void spins(String module, Offloaded lease) {
        Hedge hedge = new Hedge();
        for (int round = 0; round < 20; round++) {
            hedge.learn(ModuleName.parse(module).digest + " spin", 500000000);
        }
        lease.call("one", ">i", 0); // there is a connection, so that the next call is sent at once
        ElasticFunction spin = new ElasticFunction.Builder(module, "spin", ">i")
            .policy(ElasticPolicy.REMOTE).here(arguments -> 7).idempotent(true).hedge(hedge).build();
        System.out.println(spin.call() + " " + spin.wasRemote());
    }

    /** Calls that may run twice; in the middle the edge goes away for good. */
    private static void squares(String module, boolean isGuarded, Scanner in) {
        ElasticFunction.Builder builder = new ElasticFunction.Builder(module, "square", "i>i")
            .policy(ElasticPolicy.REMOTE)
            .here(arguments -> (Integer) arguments[0] * (Integer) arguments[0])
            .idempotent(true);
        Hedge hedge = new Hedge();
        if (isGuarded) {
            builder.hedge(hedge).breaker(new Breaker()).shadow(new Shadow());
        }
        ElasticFunction square = builder.build();
        int wrong = 0;
        int remote = 0;
        for (int number = 0; number < CALLS; number++) {
            if (number == CALLS / 2) {
                System.out.println("half");
                in.next();
            }
            wrong += square.call(number).equals(number * number) ? 0 : 1;
            remote += square.wasRemote() ? 1 : 0;
        }
        System.out.println("wrong " + wrong + " remote " + remote + " hedged " + (hedge.hedged() > 0));
        System.out.println(square.wasRemote() + " " + square.mismatch());
    }
}
