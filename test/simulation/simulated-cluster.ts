/**
 * A whole cluster in one process under a virtual clock: the real coordinator, hosts, NICs, HCCL and
 * devices over the in-memory transport and control connections. User programs are functions that run
 * inline; everything below them is what `hlsim node` runs.
 */

import type { Prng } from '../../common/prng.ts';
import { type Scheduler, VirtualScheduler } from '../../common/scheduler.ts';
import { createCoordinator } from '../../coordinator/coordinator.ts';
import { controlPair } from '../../coordinator/hlcp/memory-connection.ts';
import { HLCP_VERSION } from '../../coordinator/hlcp/messages.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import type { OwnershipPolicy } from '../../node/device/ownership.ts';
import * as hccl from '../../node/hccl/api.ts';
import type { EngineEvent } from '../../node/hccl/events.ts';
import { type Host, startHost } from '../../node/host.ts';
import type { SimProcess } from '../../node/process/sim-process.ts';
import type { SystemCallChannel } from '../../node/process/system-call.ts';
import { inlineChannel, type SystemCallTable } from '../../node/process/system-call-table.ts';
import type { ProgramLauncher } from '../../node/program-launcher.ts';
import { MemoryNetwork } from '../../node/transport/memory-transport.ts';
import type { Transport } from '../../node/transport/transport.ts';

const MiB = 1024 * 1024;

/** What an inline program is given. */
export interface InlineRank {
  readonly rank: number;
  readonly nranks: number;
  readonly localRank: number;
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
}

export type InlineProgram = (rank: InlineRank) => Promise<void>;

export interface SimulatedClusterInit {
  readonly hosts: number;
  readonly devices?: number;
  /** As in `HostInit`. */
  readonly ownership?: OwnershipPolicy;
  readonly latencyMs?: number;
  readonly bandwidthBytesPerMs?: number;
  readonly dropRate?: number;
  readonly duplicateRate?: number;
  readonly prng?: Prng;
  /** What stands between a host's NIC and its transport. */
  readonly nic?: (transport: Transport, scheduler: Scheduler) => Transport;
}

export interface JobResult {
  readonly exitCode: number;
  readonly failure?: { readonly code: string; readonly message: string };
  /** What each rank's program threw. */
  readonly errors: ReadonlyMap<number, Error>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export class SimulatedCluster {
  readonly scheduler = new VirtualScheduler();
  readonly network: MemoryNetwork;
  readonly hosts: Host[] = [];
  readonly trace: EngineEvent[] = [];
  /** Control connections of the hosts, for cutting them. */
  readonly controls: { sever(): void; silence(): void }[] = [];
  readonly #coordinator: ReturnType<typeof createCoordinator>;
  readonly #nic: NonNullable<SimulatedClusterInit['nic']>;
  #program: InlineProgram = async () => undefined;
  #errors = new Map<number, Error>();
  #uniqueIds = 0;

  constructor(init: SimulatedClusterInit) {
    const { hosts, devices = 1, nic = (transport) => transport, ownership, ...network } = init;
    const { scheduler } = this;
    this.#nic = nic;
    this.network = new MemoryNetwork({ scheduler, ...network });
    this.#coordinator = createCoordinator({
      expectedHosts: hosts,
      scheduler,
      log: silent,
      onShutdown: () => undefined,
      newJobId: () => 'job-1',
    });
    for (let index = 0; index < hosts; index++) this.#addHost(index, devices, ownership);
  }

  /** Runs `program` on every rank, as a job that the coordinator dispatches, to its end. */
  async run(
    program: InlineProgram,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<JobResult> {
    this.#program = program;
    this.#errors = new Map();
    const { dialled, accepted } = controlPair(this.scheduler, 'client');
    this.#coordinator.acceptClient(accepted);
    const done = new Promise<JobResult>((resolve, reject) => {
      dialled.listen({
        message: (message) => {
          if (message.type === 'HLCP_JOB_DONE') {
            const { exitCode, failure } = message;
            resolve({ exitCode, errors: this.#errors, ...(failure && { failure }) });
          }
          if (message.type === 'HLCP_REFUSED') reject(new Error(message.failure.message));
        },
        closed: (reason) => reject(reason ?? new Error('closed')),
      });
    });
    dialled.send({ type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION });
    const spec = { program: 'inline', arguments: [], environment };
    dialled.send({ type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: 10_000 });
    return this.scheduler.run(done);
  }

  #addHost(index: number, devices: number, ownership: OwnershipPolicy | undefined): void {
    const { dialled, accepted, sever, silence } = controlPair(this.scheduler, 'host');
    this.controls.push({ sever, silence });
    this.#coordinator.acceptHost(accepted);
    const host = startHost({
      hostname: `host-${index}`,
      pid: 1000 + index,
      devices,
      hbmBytes: 64 * MiB,
      ...(ownership !== undefined && { ownership }),
      scheduler: this.scheduler,
      transport: this.#nic(this.network.transport(`node-${index}`), this.scheduler),
      control: dialled,
      launcher: (table) => this.#launcher(table),
      master: { host: '127.0.0.1', port: 1 },
      environment: {},
      log: silent,
      observe: (event) => this.trace.push(event),
      uniqueId: () => `unique-${++this.#uniqueIds}`,
    });
    this.hosts.push(host);
  }

  #launcher(table: SystemCallTable): ProgramLauncher {
    return ({ process, environment }) => {
      const rank = {
        rank: Number(environment['RANK']),
        nranks: Number(environment['WORLD_SIZE']),
        localRank: Number(environment['LOCAL_RANK']),
        process,
        channel: inlineChannel(table, process),
      };
      let kill: () => void = () => undefined;
      const killed = new Promise<number>((resolve) => {
        kill = () => resolve(137);
      });
      const ended = this.#program(rank).then(
        () => 0,
        (reason: Error) => {
          this.#errors.set(rank.rank, reason);
          return 1;
        },
      );
      return {
        ended: Promise.race([ended, killed]).then((exitCode) => ({ exitCode })),
        kill: () => kill(),
      };
    };
  }
}

/** Opens the rank's device and joins a communicator of all ranks. */
export async function joinWorld({ channel, rank, nranks, localRank }: InlineRank) {
  const fd = await hlthunk.hlthunk_open(channel, localRank);
  if (rank === 0) await hccl.storeSet(channel, 'id', await hccl.hcclGetUniqueId(channel));
  const uniqueId = await hccl.storeGet(channel, 'id');
  const comm = await hccl.hcclCommInitRank(channel, fd, nranks, uniqueId, rank);
  return { fd, comm };
}

/** Of `next`, in a loop: `Float32Array.from` takes several times as long. */
export function manyFloats(count: number, next: () => number): Float32Array {
  const floats = new Float32Array(count);
  for (let index = 0; index < count; index++) floats[index] = next();
  return floats;
}

/** Allocated and mapped HBM. */
export async function allocate(
  channel: SystemCallChannel,
  fd: number,
  bytes: number,
): Promise<number> {
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, bytes);
  return hlthunk.hlthunk_device_memory_map(channel, fd, handle);
}

/** Moves bytes between user memory at `userAddress` and the device, by a DMA job. */
async function dma(
  { channel }: InlineRank,
  fd: number,
  userAddress: number,
  device: number,
  bytes: number,
  direction: 'toDevice' | 'fromDevice',
): Promise<void> {
  const host = await hlthunk.hlthunk_host_memory_map(channel, fd, userAddress, bytes);
  const job =
    direction === 'toDevice'
      ? { kind: 'dma' as const, source: host, destination: device, bytes }
      : { kind: 'dma' as const, source: device, destination: host, bytes };
  const sequence = await hlthunk.hlthunk_command_submission(channel, fd, [job]);
  const status = await hlthunk.hlthunk_wait_for_cs(channel, fd, sequence, 1_000_000);
  if (status !== 'COMPLETED') throw new Error(`DMA ended with ${status}`);
  await hlthunk.hlthunk_memory_unmap(channel, fd, host);
}

/** User memory that the helpers below stage through. */
const STAGING_ADDRESS = 64;

export async function writeFloats(
  rank: InlineRank,
  fd: number,
  device: number,
  values: Float32Array,
): Promise<void> {
  if (values.length === 0) return;
  // As bytes: a copy of floats may change the bits of a NaN.
  const staging = new Uint8Array(rank.process.memory, STAGING_ADDRESS, values.byteLength);
  staging.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  await dma(rank, fd, STAGING_ADDRESS, device, values.byteLength, 'toDevice');
}

/** Any bytes, a multiple of 4 of them. */
export async function writeBytes(
  rank: InlineRank,
  fd: number,
  device: number,
  bytes: Uint8Array,
): Promise<void> {
  await writeFloats(rank, fd, device, new Float32Array(bytes.slice().buffer));
}

export async function readBytes(
  rank: InlineRank,
  fd: number,
  device: number,
  count: number,
): Promise<Uint8Array> {
  const floats = await readFloats(rank, fd, device, Math.ceil(count / 4));
  return new Uint8Array(floats.buffer, 0, count);
}

export async function readFloats(
  rank: InlineRank,
  fd: number,
  device: number,
  count: number,
): Promise<Float32Array> {
  if (count === 0) return new Float32Array();
  await dma(rank, fd, STAGING_ADDRESS, device, 4 * count, 'fromDevice');
  return new Float32Array(rank.process.memory, STAGING_ADDRESS, count).slice();
}
