"""`headfit fit` with slow steps, for a process that a test stops between two checkpoints."""

#: The test waits for the checkpoint of this step.
FROM = 6
#: For `python -c`, before the words of the command.
SLOW_FIT = f"""
import sys, time
from headfit.cli import main
from headfit.fitting.module import HeadFit

after_step = HeadFit.on_before_zero_grad
def after_slow_step(self, optimizer):
    after_step(self, optimizer)
    time.sleep(1.0 if self.global_step >= {FROM} else 0)

HeadFit.on_before_zero_grad = after_slow_step
sys.exit(main(sys.argv[1:]))
"""
