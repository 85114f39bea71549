"""What `launch` runs in every process: the jobs of a file, in one process group."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed

from codegeex.errors import WorkFailed
from codegeex.training import loop
from codegeex.training import recipe as recipes

torch.set_num_threads(1)
for path, overrides, stop_after in json.loads(Path(sys.argv[1]).read_text()):

    def report(record, stop_after=stop_after):
        if record.get("step") == stop_after and "loss" in record:
            os.kill(os.getpid(), signal.SIGTERM)  # one process is told; all must stop

    try:
        loop.train(recipes.load(path, overrides), report)
    except WorkFailed as error:
        if stop_after is None or "stopped after step" not in str(error):
            raise
distributed.barrier()
if distributed.get_rank() == 0:
    print("ALL DONE", flush=True)
distributed.destroy_process_group()
