/**
 * Small collectives as jobs of the real coordinator: two ranks open their devices, make a communicator,
 * reduce, check the sum and leave; the other ranks of the job only meet them in a barrier.
 */
import { delay } from '../../../common/scheduler.ts';
import type { Coordinator } from '../../../coordinator/coordinator.ts';
import { controlPair } from '../../../coordinator/hlcp/memory-connection.ts';
import { HLCP_VERSION } from '../../../coordinator/hlcp/messages.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import * as hccl from '../../../node/hccl/api.ts';
import * as collective from '../../../node/hccl/collective-api.ts';
import { hcclFloat32, hcclSum } from '../../../node/hccl/hccl.ts';
import type { SimProcess } from '../../../node/process/sim-process.ts';
import type { SystemCallChannel } from '../../../node/process/system-call.ts';
import { inlineChannel, type SystemCallTable } from '../../../node/process/system-call-table.ts';
import type { ProgramLauncher } from '../../../node/program-launcher.ts';
import { deviceClosed, handOver } from './lifetimes.ts';
import { copyUnseen } from './memory-probe.ts';
import type { Opening, ShadowDevice } from './shadow-device.ts';
import type { World } from './world.ts';

const COUNT = 256;
const BYTES = 4 * COUNT;
const RANKS = 2;
/** All-reduces of one job, with a pause after each in which things can go wrong. */
const ROUNDS = 3;
const PAUSE_MS = 1;
/** How often one of the ranks is killed on the way, and how soon. */
const DEATH_RATE = 0.25;
const DEATH_MS_MAX = 2;
/** How often one of them leaves before the end. */
const LEAVE_RATE = 0.25;
/** Virtual time in which a job must have ended: that of one operation whose peer is silent, and some. */
const JOB_MS_MAX = 60_000;
/** How long the buffers of a collective that failed are watched. */
const AFTER_FAILURE_MS = 5;

interface Rank {
  readonly index: number;
  readonly device: ShadowDevice;
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
}

class RunningJob {
  readonly devices: readonly [ShadowDevice, ShadowDevice];
  readonly communicator: string;
  /** The rank that aborts the communicator before the last round. */
  readonly leaver: number | undefined;
  readonly outcomes: string[] = [];
  /** Those that have joined the communicator. */
  readonly members: SimProcess[] = [];
  /** Ranks of the job that have entered the barrier. */
  entered = 0;

  constructor(
    devices: readonly [ShadowDevice, ShadowDevice],
    communicator: string,
    leaver: number | undefined,
  ) {
    this.devices = devices;
    this.communicator = communicator;
    this.leaver = leaver;
  }
}

export class CollectiveJobs {
  readonly #world: World;
  readonly #coordinator: Coordinator;
  #running: RunningJob | undefined;

  constructor(world: World, coordinator: Coordinator) {
    this.#world = world;
    this.#coordinator = coordinator;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** One all-reduce over two devices of two hosts; resolves with what each of the ranks came to. */
  async run(devices: readonly [ShadowDevice, ShadowDevice]): Promise<string> {
    const { scheduler, findings } = this.#world;
    const leaver = this.#world.chance(LEAVE_RATE) ? this.#world.prng.below(RANKS) : undefined;
    const job = new RunningJob(devices, `c${this.#world.number()}`, leaver);
    this.#running = job;
    const startMs = scheduler.clock.now();
    if (this.#world.chance(DEATH_RATE)) {
      scheduler.after(this.#world.prng.float() * DEATH_MS_MAX, () => this.#killOne(job));
    }
    try {
      const exitCode = await this.#submit();
      const tookMs = scheduler.clock.now() - startMs;
      findings.check(
        'I39',
        tookMs <= JOB_MS_MAX,
        () =>
          `Expected the job of ${job.communicator} to end in bounded time but it took ${tookMs} ms`,
      );
      return `exit ${exitCode}: ${job.outcomes.join(', ')}`;
    } finally {
      this.#running = undefined;
    }
  }

  /** Ends one of the ranks, once they are in the middle of their collectives. */
  #killOne(job: RunningJob): void {
    if (this.#running !== job) return;
    const [member] = job.members;
    if (member === undefined) {
      this.#world.scheduler.after(DEATH_MS_MAX, () => this.#killOne(job));
      return;
    }
    this.#world.trace.add(`rank of pid ${member.pid} is killed`);
    member.signal('SIGKILL');
  }

  async #submit(): Promise<number> {
    const { dialled, accepted } = controlPair(this.#world.scheduler, 'client');
    this.#coordinator.acceptClient(accepted);
    const done = new Promise<number>((resolve, reject) => {
      dialled.listen({
        message: (message) => {
          if (message.type === 'HLCP_JOB_DONE') resolve(message.exitCode);
          if (message.type === 'HLCP_REFUSED') reject(new Error(message.failure.message));
        },
        closed: (reason) => reject(reason ?? new Error('closed')),
      });
    });
    dialled.send({ type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION });
    const spec = { program: 'inline', arguments: [], environment: {} };
    dialled.send({ type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: 10_000 });
    try {
      return await done;
    } finally {
      dialled.close();
    }
  }

  launcher(host: number, table: SystemCallTable): ProgramLauncher {
    return ({ process, environment }) => {
      const job = this.#running;
      const device = this.#world.hosts[host]?.devices[Number(environment['LOCAL_RANK'])];
      const nranks = Number(environment['WORLD_SIZE']);
      let kill: () => void = () => undefined;
      const killed = new Promise<number>((resolve) => {
        kill = () => resolve(137);
      });
      const channel = inlineChannel(table, process);
      const ended =
        job === undefined || device === undefined
          ? Promise.resolve(1)
          : this.#rank(
              job,
              { index: job.devices.indexOf(device), device, process, channel },
              nranks,
            );
      return {
        ended: Promise.race([ended, killed]).then((exitCode) => ({ exitCode })),
        kill: () => kill(),
      };
    };
  }

  async #rank(job: RunningJob, rank: Rank, nranks: number): Promise<number> {
    const hasPart = rank.index >= 0;
    try {
      await this.#meet(job, rank, nranks);
      if (hasPart) job.outcomes[rank.index] = await this.#collective(rank, job);
      return 0;
    } catch (reason) {
      const message = reason instanceof Error ? reason.message : String(reason);
      if (hasPart) job.outcomes[rank.index] = message;
      return 1;
    }
  }

  /** Nobody leaves the barrier before all have entered it. */
  async #meet(job: RunningJob, { channel }: Rank, nranks: number): Promise<void> {
    job.entered++;
    await hccl.jobBarrier(channel);
    this.#world.findings.check(
      'I38',
      job.entered === nranks,
      () => `Expected ${nranks} ranks to have entered the barrier but found ${job.entered}`,
    );
  }

  async #collective(rank: Rank, job: RunningJob): Promise<string> {
    const { channel, device, process } = rank;
    const fd = await hlthunk.hlthunk_open(channel, device.device.index);
    const opening = handOver(this.#world, device, process.pid, true);
    const forget = process.onExit(() => deviceClosed(this.#world, opening));
    await this.#reduce(rank, job, fd, opening);
    forget();
    deviceClosed(this.#world, opening);
    await hlthunk.hlthunk_close(channel, fd);
    return 'reduced';
  }

  async #reduce(rank: Rank, job: RunningJob, fd: number, opening: Opening): Promise<void> {
    const { channel, device, index } = rank;
    const comm = await hccl.hcclCommInitRank(channel, fd, RANKS, job.communicator, index);
    job.members.push(rank.process);
    const handle = await hlthunk.hlthunk_device_memory_alloc(channel, fd, BYTES);
    const offset = device.lastAllocation?.offset ?? 0;
    const address = await hlthunk.hlthunk_device_memory_map(channel, fd, handle);
    const buffer = device.bytes.subarray(offset, offset + BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      if (job.leaver === index && round === ROUNDS - 1) {
        await hccl.hcclCommAbort(channel, comm);
        return;
      }
      const values = Float32Array.from({ length: COUNT }, (_, at) => at + index + round);
      copyUnseen(buffer, new Uint8Array(values.buffer));
      device.wrote(offset, BYTES, -1, opening.number);
      try {
        await collective.hcclAllReduce(
          channel,
          address,
          address,
          COUNT,
          hcclFloat32,
          hcclSum,
          comm,
        );
        await hccl.synStreamSynchronize(channel);
      } catch (reason) {
        await this.#checkLeftAlone(rank, buffer, opening);
        throw reason;
      }
      const sum = new Float32Array(buffer.slice().buffer);
      this.#world.findings.check(
        'I37',
        sum.every((value, at) => value === 2 * (at + round) + 1),
        () =>
          `Expected the all-reduce on ${device.name} to give the sum but found ${sum.slice(0, 4)}`,
      );
      await delay(this.#world.scheduler, PAUSE_MS);
    }
    job.members.length = 0;
    await hccl.hcclCommDestroy(channel, comm);
  }

  /** Once an error was reported, nobody writes to the buffer any more. */
  async #checkLeftAlone(rank: Rank, buffer: Uint8Array, opening: Opening): Promise<void> {
    const { scheduler, findings } = this.#world;
    const before = buffer.slice();
    await delay(scheduler, AFTER_FAILURE_MS);
    if (opening.state !== 'open' || rank.process.state !== 'running') return;
    findings.check(
      'I40',
      Buffer.compare(before, buffer) === 0,
      () =>
        `Expected nobody to write to the buffer of ${rank.device.name} after the collective failed`,
    );
  }
}
