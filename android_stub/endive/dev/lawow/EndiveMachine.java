package dev.lawow;

import run.endive.runtime.Instance;
import run.endive.runtime.InterpreterMachine;
import run.endive.runtime.MStack;

/**
 * Endive's interpreter, which leaves nothing behind when a call fails. A host function may call the guest, catch its trap
 * and return: what the inner call had on the stack must not become operands of the outer one.
 */
final class EndiveMachine extends InterpreterMachine {
    EndiveMachine(Instance instance) {
        super(instance);
    }

    @Override
    public long[] call(int function, long[] arguments) {
        int values = stack().size();
        int frames = callStack.size();
        boolean returned = false;
        try {
            long[] results = super.call(function, arguments);
            returned = true;
            return results;
        } finally {
            if (!returned) {
                unwind(values, frames);
            }
        }
    }

    private void unwind(int values, int frames) {
        MStack stack = stack();
        while (stack.size() > values) {
            if (stack.topIsRef()) {
                stack.popRef();
            } else {
                stack.pop();
            }
        }
        while (callStack.size() > frames) {
            callStack.pop();
        }
    }
}
