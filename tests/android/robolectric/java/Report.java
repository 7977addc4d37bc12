import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Result;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs test classes one after the other and writes a line for each test: passed, or failed with the trace below it. */
public final class Report extends RunListener {
    private Failure failure;

    public static void main(String[] names) throws ClassNotFoundException {
        JUnitCore core = new JUnitCore();
        core.addListener(new Report());
        boolean isGood = true;
        for (String name : names) {
            Result result = core.run(Class.forName(name));
            isGood &= result.wasSuccessful();
        }
        System.exit(isGood ? 0 : 1); // whatever threads are left
    }

    @Override
    public void testStarted(Description test) {
        failure = null;
    }

    @Override
    public void testFailure(Failure failure) {
        this.failure = failure;
        if (!failure.getDescription().isTest()) { // the class itself: no test of it starts
            testFinished(failure.getDescription());
        }
    }

    @Override
    public void testFinished(Description test) {
        String name = test.getClassName() + "." + test.getMethodName();
        System.out.println(failure == null ? "passed " + name : "failed " + name + "\n" + failure.getTrimmedTrace());
    }
}
