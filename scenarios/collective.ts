/** Collectives that the hosts' own programs run together while actors do other things. */
import * as hlsim from 'hlsim';

export interface CollectiveOrder {
  /** Tells apart the communicators of one scenario. */
  readonly name: string;
  /** All-reduces, posted one behind the other without waiting. */
  readonly calls: number;
  readonly floats: number;
}

export interface CollectiveResult {
  /** Floats that are not the sum of all ranks' inputs. */
  readonly wrong: number;
  readonly counters: hlsim.HcclCommCounters;
}

/** Every rank puts in rank + 1; throws what HCCL throws. */
export async function runCollectives(order: CollectiveOrder): Promise<CollectiveResult> {
  const { name, calls, floats } = order;
  const bytes = 4 * floats;
  const { fd, comm, rank, worldSize } = await hlsim.initWorld(name);
  const staging = hlsim.hostMemoryAlloc(bytes);
  const values = new Float32Array(staging.bytes.buffer, staging.bytes.byteOffset, floats);
  const send = await hlsim.allocateDevice(fd, bytes);
  const recv = await hlsim.allocateDevice(fd, bytes);
  const host = await hlsim.hlthunk_host_memory_map(fd, staging.address, bytes);
  await copy(fd, host, send, bytes, () => values.fill(rank + 1));
  for (let call = 0; call < calls; call++) {
    await hlsim.hcclAllReduce(send, recv, floats, hlsim.hcclFloat32, hlsim.hcclSum, comm);
  }
  await hlsim.synStreamSynchronize(hlsim.HCCL_DEFAULT_STREAM);
  await copy(fd, recv, host, bytes);
  const sum = (worldSize * (worldSize + 1)) / 2;
  const wrong = values.filter((value) => value !== sum).length;
  const counters = await hlsim.hcclCommGetCounters(comm);
  await hlsim.hcclCommDestroy(comm);
  await hlsim.hlthunk_close(fd);
  return { wrong, counters };
}

async function copy(
  fd: number,
  source: number,
  destination: number,
  bytes: number,
  before: () => unknown = () => undefined,
): Promise<void> {
  before();
  const job = { kind: 'dma', source, destination, bytes } as const;
  const sequence = await hlsim.hlthunk_command_submission(fd, [job]);
  const status = await hlsim.hlthunk_wait_for_cs(fd, sequence, 10_000_000);
  if (status !== 'COMPLETED') throw new Error(`Expected the copy to complete but found ${status}`);
}
