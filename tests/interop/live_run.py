"""A run that commits in a loop: STORE MODE SECONDS [HISTORY_SIZE]. Prints how many rows it wrote."""

import random
import sys
import time

import numpy as np
from earth2studio.utils.checkpoint import Checkpoint, bind_checkpoint_state

from states import Noise

store, mode, seconds, *history = sys.argv[1:]
checkpoint = Checkpoint("live", path=store, mode=mode, history_size=int(history[0]) if history else None)
n = 0
with checkpoint as session:
    state = bind_checkpoint_state(Noise())
    until = time.time() + float(seconds)
    while time.time() < until:
        state.seed = n
        session.write(lead_time=np.timedelta64(n, "h"), n=n, note="of the run")
        n += 1
        time.sleep(random.random() * 0.2)
print(n)
