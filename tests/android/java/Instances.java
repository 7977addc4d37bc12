import dev.lawow.Lawow;
import dev.lawow.RemoteException;

/**
 * Calls of objects that have instances on the edge. usage: Instances SCENARIO MODULE; each prints what happened. The
 * scenario is a word of letters: {@code a b} call with one of two objects, {@code A B} close it, {@code E} calls
 * elastically with the first object, {@code F} forgets it and waits for its collection.
 */
public final class Instances {
    public static void main(String[] arguments) throws InterruptedException {
        Object[] objects = {new Equal(), new Equal()};
        for (char step : arguments[0].toCharArray()) {
            System.out.println(step + " " + perform(step, objects, arguments[1]));
        }
    }

    private static String perform(char step, Object[] objects, String module) throws InterruptedException {
        if (step == 'F') {
            objects[0] = null;
            for (int round = 0; round < 50; round++) {
                System.gc();
                Thread.sleep(20);
            }
            return "ok";
        }
        Object self = objects[Character.toLowerCase(step) == 'b' ? 1 : 0];
        try {
            if (step == 'A' || step == 'B') {
                Lawow.closeInstance(self);
                return "closed";
            }
            Object[] values = {1};
            Object result = step == 'E'
                ? Lawow.elasticInstance(self, module, "count", "i>i", values)
                : Lawow.remoteInstance(self, module, "count", "i>i", values);
            return result == Lawow.LOCAL ? "LOCAL" : "ok " + result;
        } catch (RemoteException error) {
            return error.code() + " " + error.mayHaveRun();
        } catch (IllegalStateException error) {
            return error.getMessage();
        }
    }

    /** All of them are equal: only identity tells them apart. */
    private static final class Equal {
        @Override
        public boolean equals(Object other) {
            return other instanceof Equal;
        }

        @Override
        public int hashCode() {
            return 1;
        }
    }
}
