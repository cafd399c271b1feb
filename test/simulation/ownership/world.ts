/**
 * Three hosts with two devices each in one process: the real coordinator, hosts, drivers and NICs over the
 * network in memory, with a probe on all device memory and the shadow model listening.
 */
import { defined } from '../../../common/assert.ts';
import { MiB } from '../../../common/bytes.ts';
import { Prng } from '../../../common/prng.ts';
import { createCoordinator } from '../../../coordinator/coordinator.ts';
import { controlPair } from '../../../coordinator/hlcp/memory-connection.ts';
import type { OwnershipPolicy } from '../../../node/device/ownership.ts';
import { type HostInit, startHost } from '../../../node/host.ts';
import type { SystemCallTable } from '../../../node/process/system-call-table.ts';
import { MemoryNetwork } from '../../../node/transport/memory-transport.ts';
import { CollectiveJobs } from './collective-jobs.ts';
import type { Connection, End } from './connection.ts';
import { DeviceWatch } from './device-watch.ts';
import { ARMED_RATE, DelayingScheduler, FaultSource } from './faulty-network.ts';
import { Findings } from './findings.ts';
import { recycleMemory, withPooledMemory } from './memory-pool.ts';
import { installMemoryProbe } from './memory-probe.ts';
import { observedTransport } from './observed-transport.ts';
import type { SimulationOptions } from './options.ts';
import { ShadowDevice } from './shadow-device.ts';
import { ShadowModel } from './shadow-model.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { Memory, SimulatedUser } from './simulated-user.ts';
import { SimulationScheduler } from './simulation-scheduler.ts';
import { Trace } from './trace.ts';

export type SimulatedOwnership = OwnershipPolicy;

const HOSTS = 3;
const DEVICES = 2;
/** A collective of two ranks takes 8 MiB for its receive slots; pages that nobody touches cost nothing. */
const HBM_BYTES = 10 * MiB;
const LATENCY_MS = 0.02;
const BANDWIDTH_BYTES_PER_MS = 2_000_000;
/** Short, so that a reset with a stubborn opener ends within the run. */
const RESET_WAIT_MS = 60;
const RESET_GRACE_MS = 20;
const RESET_TRIALS = 4;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export class World {
  readonly options: SimulationOptions;
  readonly prng: Prng;
  readonly scheduler = new SimulationScheduler();
  readonly findings = new Findings();
  readonly model = new ShadowModel(this.findings);
  readonly trace = new Trace(this.scheduler.clock);
  readonly faults = new FaultSource();
  readonly delays = new DelayingScheduler(this.scheduler);
  readonly network: MemoryNetwork;
  readonly hosts: SimulatedHost[] = [];
  readonly devices: ShadowDevice[] = [];
  /** Processes that run, oldest first. */
  readonly users: SimulatedUser[] = [];
  readonly jobs: CollectiveJobs;
  readonly memories = new Set<Memory>();
  readonly connections: Connection[] = [];
  /** Queue pairs of the random program, by host and number. */
  readonly ends = new Map<string, End>();
  readonly partitions = new Set<string>();
  /** Pairs of hosts that were apart, with the virtual time of the end of it, in milliseconds. */
  readonly healedAtMs = new Map<string, number>();
  /** Everything has been closed and scrubbed. */
  isOver = false;
  /** How much of the program has been done, from 0 to 1. */
  progress = 0;
  resets = 0;
  collectives = 0;
  readonly collectivesMax: number = 1;
  readonly #coordinator: ReturnType<typeof createCoordinator>;
  readonly #uninstallProbe: () => void;
  #numbers = 0;

  constructor(options: SimulationOptions) {
    const { scheduler } = this;
    this.options = options;
    this.prng = new Prng(options.seed);
    this.network = new MemoryNetwork({
      scheduler: this.delays,
      latencyMs: LATENCY_MS,
      bandwidthBytesPerMs: BANDWIDTH_BYTES_PER_MS,
      dropRate: ARMED_RATE,
      duplicateRate: ARMED_RATE,
      prng: this.faults,
    });
    let jobs = 0;
    this.#coordinator = createCoordinator({
      expectedHosts: HOSTS,
      scheduler,
      log: silent,
      onShutdown: () => undefined,
      newJobId: () => `job-${++jobs}`,
    });
    this.jobs = new CollectiveJobs(this, this.#coordinator);
    const watch = new DeviceWatch(this);
    for (let index = 0; index < HOSTS; index++) this.#addHost(index, watch);
    this.#uninstallProbe = installMemoryProbe(watch.memories(), watch);
  }

  /** Numbers of operations, buffers and so on: one sequence for all, from 1. */
  number(): number {
    return ++this.#numbers;
  }

  pick<T>(choices: readonly T[]): T {
    return defined(choices[this.prng.below(choices.length)], 'a choice');
  }

  chance(probability: number): boolean {
    return this.prng.float() < probability;
  }

  /** Takes the hosts and the coordinator down. */
  async close(): Promise<void> {
    this.#coordinator.shutdown('the simulation is over');
    const ended = Promise.all(this.hosts.map(({ host }) => host.ended));
    await this.scheduler.run(ended, 60_000);
  }

  /** The probe is a global thing: whoever makes a world disposes of it, on every path. */
  dispose(): void {
    this.#uninstallProbe();
    for (const device of this.devices) {
      const isClean = this.findings.first === undefined && this.isOver;
      recycleMemory(device.device.hbm.memory, isClean ? [] : device.touchedPages());
    }
  }

  #addHost(index: number, watch: DeviceWatch): void {
    const { dialled, accepted } = controlPair(this.scheduler, 'host');
    this.#coordinator.acceptHost(accepted);
    let table: SystemCallTable | undefined;
    const transport = this.network.transport(`host-${index}`);
    const init: HostInit = {
      hostname: `host-${index}`,
      pid: 1000 + index,
      devices: DEVICES,
      hbmBytes: HBM_BYTES,
      scheduler: this.scheduler,
      transport: observedTransport(transport, index, watch),
      control: dialled,
      launcher: (calls) => {
        table = calls;
        return this.jobs.launcher(index, calls);
      },
      master: { host: '127.0.0.1', port: 1 },
      environment: {},
      log: silent,
      uniqueId: () => `unique-${this.number()}`,
      ownership: this.options.ownership,
      resetGraceMs: RESET_GRACE_MS,
      resetWaitMs: RESET_WAIT_MS,
      resetTrials: RESET_TRIALS,
    };
    const host = withPooledMemory(() => startHost(init));
    const devices = host.devices.map(
      (device) => new ShadowDevice(`h${index}d${device.index}`, device, this.findings),
    );
    this.hosts.push({ index, host, table: defined(table, 'a table'), devices, users: [] });
    this.devices.push(...devices);
  }
}
