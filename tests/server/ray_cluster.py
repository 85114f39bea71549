"""Run by test_ray.py in a process of its own, as Ray leaves threads and signal handlers behind."""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from codegeex.server import ray as ours  # before ray starts: it turns Ray's reports to its makers off

import ray  # isort: skip
from ray import serve  # isort: skip
from openai import OpenAI, OpenAIError  # isort: skip
from ray._common.usage import usage_lib  # isort: skip

PORT = int(sys.argv[1])
PATIENCE = 60


def replicas():
    return serve.status().applications["codegeex"].deployments["codegeex"].replica_states.get("RUNNING", 0)


def wait_for(count):
    until = time.monotonic() + PATIENCE
    while replicas() != count:
        assert time.monotonic() < until, f"{replicas()} replicas, not {count}"
        time.sleep(0.2)


def ask(seed):
    client = OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="none", max_retries=5)
    fields = {"model": "codegeex-nano", "prompt": "def add(a, b):\n", "max_tokens": 24}
    fields |= {"temperature": 1, "top_p": 1, "seed": seed}
    with client:
        whole = client.completions.create(**fields).choices[0].text
        streamed = "".join(piece.choices[0].text for piece in client.completions.create(**fields, stream=True))
    assert streamed == whole
    return whole


def start(**arguments):
    settings = ours.Arguments(cpus=0.4, settle_seconds=0.1, idle_seconds=0.5, **arguments)
    serve.run(ours.app(settings), name="codegeex")
    wait_for(settings.min_replicas)


ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
serve.start(http_options={"host": "127.0.0.1", "port": PORT})
found = {"telemetry": usage_lib.usage_stats_enabled()}

start(min_replicas=2, max_replicas=2)
with ThreadPoolExecutor(8) as clients:
    found["answers"] = list(clients.map(ask, range(8)))
    names = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if "SERVE_REPLICA" in one["name"]]
    found["replicas"] = len(names)
    ray.kill(ray.get_actor(names[0], namespace="serve"))
    found["after_a_death"] = []
    for seed in range(8):
        try:
            found["after_a_death"].append(ask(seed))
        except OpenAIError as error:
            found["after_a_death"].append(repr(error))
    wait_for(2)

    start(min_replicas=1, max_replicas=2, target_requests=1)
    enough = threading.Event()

    def keep_asking(seed):
        while not enough.is_set():
            ask(seed)

    busy = [clients.submit(keep_asking, seed) for seed in range(6)]
    try:
        wait_for(2)
    finally:
        enough.set()
    for one in busy:
        one.result(PATIENCE)
    wait_for(1)
found["grown_and_shrunk"] = True
serve.shutdown()
ray.shutdown()
print(json.dumps(found))
