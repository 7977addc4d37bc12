import dev.lawow.ElasticFunction;
import dev.lawow.ElasticPolicy;
import dev.lawow.RemoteException;
import dev.lawow.Trap;
import java.util.concurrent.ExecutionException;

/** Calls an elastic function, {@code fib}, once for each word: {@code local|remote|auto, + idempotent, & async}. */
public final class Functions {
    public static void main(String[] words) throws Exception {
        ElasticPolicy automatic = ElasticPolicy.automatic();
        ElasticFunction auto = function(words[0], automatic, false);
        for (int at = 1; at < words.length; at++) {
            String word = words[at];
            ElasticPolicy policy = word.startsWith("local") ? ElasticPolicy.LOCAL : ElasticPolicy.REMOTE;
            ElasticFunction function = word.startsWith("auto") ? auto : function(words[0], policy, word.contains("+"));
            System.out.println(answer(function, word.contains("&")) + " " + function.wasRemote());
        }
    }

    private static ElasticFunction function(String module, ElasticPolicy policy, boolean idempotent) {
        return new ElasticFunction.Builder(module, "fib", "i>i")
            .here(arguments -> "here " + arguments[0])
            .policy(policy)
            .idempotent(idempotent)
            .build();
    }

    private static String answer(ElasticFunction function, boolean async) throws Exception {
        try {
            return "ok " + (async ? function.callAsync(10).get() : function.call(10));
        } catch (ExecutionException error) {
            return "later " + error.getCause().getClass().getSimpleName();
        } catch (Trap trap) {
            return "trap " + trap.code();
        } catch (RemoteException error) {
            return "remote " + error.code() + " " + error.mayHaveRun();
        }
    }
}
