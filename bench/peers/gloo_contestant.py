"""Gloo as a contestant of `npm run bench:peers`, through torch.distributed: one rank.

Arguments: RENDEZVOUS_FILE RANK RANKS, then one per measurement, COLLECTIVE:COUNT:WARMUP:ITERATIONS,
COUNT being the float32 elements of the whole array. Prints one line of JSON per measurement. What is
timed, and what is checked, is the same for every contestant: see README.md beside this folder.
"""
import datetime
import json
import sys
import time

import torch
import torch.distributed as dist

# A prime: a part that lands at a wrong place of a power of two shows.
PERIOD = 8191
# Below the deadline that the benchmark gives this process.
DEADLINE = datetime.timedelta(seconds=120)


def main():
    rendezvous, rank, ranks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    measurements = [read_measurement(text) for text in sys.argv[4:]]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method="file://" + rendezvous, rank=rank, world_size=ranks, timeout=DEADLINE
    )
    data = torch.zeros(max(count for _, count, _, _ in measurements))
    for collective, count, warmup, iterations in measurements:
        call = call_of(collective, data[:count], rank, ranks)
        data[:count].zero_()
        for done in range(warmup):
            if done == warmup // 2:
                dist.barrier()
            call()
        dist.barrier()
        call()  # brings the ranks together
        start = time.perf_counter()
        for _ in range(iterations):
            call()
        seconds = (time.perf_counter() - start) / iterations
        wrong = wrong_elements(collective, call, data[:count], rank, ranks)
        line = {
            "collective": collective,
            "count": count,
            "ranks": ranks,
            "rank": rank,
            "timeUs": seconds * 1e6,
            "wrong": wrong,
        }
        print(json.dumps(line), flush=True)
    # Nobody leaves while another may still be in its last check.
    dist.barrier()
    dist.destroy_process_group()


def read_measurement(text):
    collective, count, warmup, iterations = text.split(":")
    return collective, int(count), int(warmup), int(iterations)


def call_of(collective, data, rank, ranks):
    """A function that makes one call: complete on this rank when it returns."""
    if collective == "all_reduce":
        return lambda: dist.all_reduce(data)
    # The blocks are views of the one array, and this rank gives its own view: as near to in place as
    # torch.distributed lets Gloo be.
    blocks = list(data.chunk(ranks))
    return lambda: dist.all_gather(blocks, blocks[rank])


def operands(of, length):
    """What rank `of` gives. Sums of these over the ranks are exact in float32."""
    return ((torch.arange(length) % PERIOD) * (of + 1) + of).to(torch.float32)


def wrong_elements(collective, call, data, rank, ranks):
    block = data.numel() // ranks
    data.fill_(-1)
    if collective == "all_reduce":
        data.copy_(operands(rank, data.numel()))
        index = torch.arange(data.numel()) % PERIOD
        sums = index * (ranks * (ranks + 1) // 2) + ranks * (ranks - 1) // 2
        expected = sums.to(torch.float32)
    else:
        data[rank * block : (rank + 1) * block].copy_(operands(rank, block))
        expected = torch.cat([operands(of, block) for of in range(ranks)])
    call()
    return int((data != expected).sum())


main()
