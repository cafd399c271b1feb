/**
 * One simulated host, put together: devices, NIC, HCCL, job runner and its place in the cluster. It
 * knows neither sockets nor threads: transport, control connection, scheduler and program launcher
 * are given, so that the same host runs as a process of its own or, several at a time, in a test.
 */
import { nanoid } from 'nanoid';
import { type Deferred, deferred } from '../common/deferred.ts';
import type { HlsimError } from '../common/errors.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { HLCP_VERSION, type HostEntry } from '../coordinator/hlcp/messages.ts';
import { ControlPlane, type HostConnection } from './control-plane.ts';
import { createDevice, type GaudiDevice } from './device/device.ts';
import { DEVICE_LIMITS, type DeviceLimits } from './device/limits.ts';
import type { OwnershipPolicy } from './device/ownership.ts';
import { DeviceService } from './device-service.ts';
import { DmaBufList } from './dmabuf/export.ts';
import { registerFabricCalls } from './fabric-calls.ts';
import type { EngineObserver } from './hccl/events.ts';
import { HostTracing } from './hccl/host-tracing.ts';
import { HcclLibrary } from './hccl/library-calls.ts';
import { HeldDevice } from './held-device.ts';
import { JobRunner } from './job-runner.ts';
import { KnownHostsTransport } from './known-hosts.ts';
import { machineMemory } from './machine-memory.ts';
import type { OperatingSystem } from './os/operating-system.ts';
import { HostMemory } from './peer-memory.ts';
import { type DeviceNodes, registerDescriptorCalls } from './process/descriptor-calls.ts';
import { registerFileCalls } from './process/file-calls.ts';
import { ProcessTable } from './process/process-table.ts';
import { registerSocketCalls } from './process/socket-calls.ts';
import { SystemCallTable } from './process/system-call-table.ts';
import { ProcessRunner } from './process-runner.ts';
import type { ProgramLauncher } from './program-launcher.ts';
import { type SharedMachineInit, sharedMachine } from './shared-machine.ts';
import { TraceService } from './trace-service.ts';
import type { Transport } from './transport/transport.ts';
import { createNic, type Nic } from './verbs/nic.ts';
import { registerUverbs } from './verbs/uverbs.ts';
import { wireMachine } from './wire-sockets.ts';

export interface HostLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How long a hard reset waits for users of a device, where the driver's own times do not fit. */
type ResetLimits = Pick<DeviceLimits, 'resetGraceMs' | 'resetWaitMs' | 'resetTrials'>;

export interface HostInit extends Partial<ResetLimits> {
  readonly hostname: string;
  /** Pid of the host process, for people. */
  readonly pid: number;
  readonly devices: number;
  readonly hbmBytes: number;
  /** Whose device memory is while others have imported it; `owner` by default. */
  readonly ownership?: OwnershipPolicy;
  readonly scheduler: Scheduler;
  readonly transport: Transport;
  readonly control: HostConnection;
  /** Given the host's system calls and its devices' memory, starts programs. */
  readonly launcher: (
    table: SystemCallTable,
    deviceMemories: readonly WebAssembly.Memory[],
  ) => ProgramLauncher;
  /** Absent: no memory is shared with other processes. */
  readonly system?: OperatingSystem;
  /** Of this machine; absent: event loops are never kept awake for operations. */
  readonly cores?: number;
  /** Shared by the cluster; peers that want to share memory must have it. */
  readonly token?: string;
  readonly master: { readonly host: string; readonly port: number };
  readonly environment: Readonly<Record<string, string>>;
  readonly log: HostLog;
  readonly observe?: EngineObserver;
  /** Makes unique ids of communicators; injected where runs must repeat. */
  readonly uniqueId?: () => string;
}

export interface Host {
  readonly nodeId: string;
  readonly devices: readonly GaudiDevice[];
  readonly nic: Nic;
  /** Every simulated process of this host. */
  readonly processes: ProcessTable;
  /** The coordinator has taken this host in. Rejects if it refuses. */
  readonly accepted: Promise<void>;
  /** The host has ended and holds nothing any more; with the reason, unless it was told to end. */
  readonly ended: Promise<HlsimError | undefined>;
  close(): void;
}

/** Starts a host: it joins the cluster at once. */
export function startHost(init: HostInit): Host {
  return new RunningHost(init);
}

class RunningHost implements Host {
  readonly nodeId: string;
  readonly devices: readonly GaudiDevice[];
  readonly nic: Nic;
  readonly processes = new ProcessTable();
  readonly #init: HostInit;
  readonly #control: ControlPlane;
  readonly #jobs: JobRunner;
  readonly #deviceService: DeviceService;
  readonly #traceService: TraceService;
  readonly #accepted: Deferred<void> = deferred();
  readonly #ended: Deferred<HlsimError | undefined> = deferred();
  #hosts: readonly HostEntry[] = [];
  /** Where other hosts of this machine hand memory over. */
  #memory: HostMemory | undefined;

  constructor(init: HostInit) {
    const { scheduler, transport, observe, uniqueId } = init;
    this.#init = init;
    this.nodeId = transport.nodeId;
    const table = new SystemCallTable();
    const nodes = registerDescriptorCalls(table);
    registerFileCalls(table, scheduler);
    registerSocketCalls(table, scheduler);
    const devices = this.#createDevices(nodes);
    this.devices = devices.map(({ device }) => device);
    const addressOf = (nodeId: string) => this.#hosts.find((one) => one.nodeId === nodeId)?.link;
    const known = new KnownHostsTransport(transport, scheduler, addressOf);
    const { system, token } = init;
    const machine = system && this.#shareMemory(system, token);
    this.nic = createNic({
      transport: known,
      scheduler,
      ...(machine && { machine: machineMemory(machine) }),
    });
    registerUverbs(nodes, this.nic);
    registerFabricCalls(table, this.nic);
    this.#accepted.promise.catch(() => undefined);
    this.#control = new ControlPlane(init.control, scheduler, {
      accepted: () => this.#accepted.resolve(),
      world: (hosts) => this.#world(hosts),
      startJob: (job) => this.#startJob(job),
      stopJob: (jobId, reason) => {
        init.log.info({ jobId, reason }, 'job stopped');
        this.#jobs.stop(jobId);
      },
      hostLost: ({ nodeId, hostname, reason }) => {
        init.log.warn({ nodeId, hostname, reason }, 'host lost');
        known.lose(nodeId, reason);
      },
      deviceStatus: (requestId) => this.#deviceService.status(requestId),
      evict: (request) => this.#deviceService.evict(request),
      startTrace: (request) => this.#traceService.start(request),
      stopTrace: (requestId) => this.#traceService.stop(requestId),
      clockAnswered: (sequence, atMs) => this.#traceService.clockAnswered(sequence, atMs),
      ended: (reason) => void this.#end(reason),
    });
    this.#deviceService = new DeviceService({
      devices,
      processes: this.processes,
      scheduler,
      send: (message) => this.#control.send(message),
    });
    const tracing = new HostTracing(scheduler, observe);
    this.#traceService = this.#createTraceService(tracing);
    const hccl = new HcclLibrary({
      table,
      ...(machine && { machine: sharedMachine(machine) }),
      nic: this.nic,
      nodeId: this.nodeId,
      scheduler,
      services: this.#control,
      tracing,
      ...(init.cores !== undefined && { cores: init.cores }),
      ...(uniqueId && { uniqueId }),
    });
    this.#jobs = new JobRunner({
      control: this.#control,
      hccl,
      runner: new ProcessRunner({
        table,
        processes: this.processes,
        scheduler,
        launch: init.launcher(
          table,
          this.devices.map(({ hbm }) => hbm.memory),
        ),
      }),
      scheduler,
      devices: init.devices,
      master: init.master,
      environment: init.environment,
    });
    this.#join();
  }

  get accepted(): Promise<void> {
    return this.#accepted.promise;
  }

  get ended(): Promise<HlsimError | undefined> {
    return this.#ended.promise;
  }

  close(): void {
    this.#control.close();
  }

  #createTraceService(tracing: HostTracing): TraceService {
    const { scheduler, log } = this.#init;
    return new TraceService({
      tracing,
      scheduler,
      log,
      send: (message) => this.#control.send(message),
    });
  }

  #join(): void {
    const { hostname, pid, devices, hbmBytes, transport } = this.#init;
    this.#control.join({
      version: HLCP_VERSION,
      nodeId: this.nodeId,
      hostname,
      pid,
      devices,
      hbmBytes,
      link: transport.address,
    });
  }

  /** What other hosts of the machine hand memory over by, and get it. */
  #shareMemory(system: OperatingSystem, token: string | undefined): SharedMachineInit {
    const memory = new HostMemory({ system, nodeId: this.nodeId, token });
    this.#memory = memory;
    const { devices } = this;
    const { transport } = this.#init;
    const wires = wireMachine({ transport, system });
    return { system, peers: memory, devices, wires, nextNumber: () => memory.nextNumber() };
  }

  #createDevices(nodes: DeviceNodes): HeldDevice[] {
    const { hbmBytes, ownership, scheduler, log, system } = this.#init;
    const {
      resetGraceMs = DEVICE_LIMITS.resetGraceMs,
      resetWaitMs = DEVICE_LIMITS.resetWaitMs,
      resetTrials = DEVICE_LIMITS.resetTrials,
    } = this.#init;
    return Array.from({ length: this.#init.devices }, (_, index) => {
      const dmaBufs = new DmaBufList();
      const device = createDevice({
        index,
        hbmBytes,
        scheduler,
        processes: this.processes,
        dmaBufs,
        limits: { resetGraceMs, resetWaitMs, resetTrials },
        log: ({ level, message, fields, ...about }) => log[level]({ ...about, ...fields }, message),
        os: system,
        ...(ownership !== undefined && { ownership }),
      });
      const held = new HeldDevice(device, dmaBufs, this.processes);
      held.register(nodes);
      return held;
    });
  }

  #world(hosts: readonly HostEntry[]): void {
    this.#hosts = hosts;
    this.#init.log.info({ hosts: hosts.length }, 'world complete');
    this.#traceService.met();
  }

  #startJob(job: Parameters<JobRunner['start']>[0]): void {
    const self = this.#hosts.find((one) => one.nodeId === this.nodeId);
    if (self === undefined) {
      this.#init.log.error({ jobId: job.jobId }, 'job before the world was complete');
      return;
    }
    this.#init.log.info({ jobId: job.jobId, program: job.spec.program }, 'job started');
    this.#jobs.start(job, self, this.#hosts);
  }

  async #end(reason: HlsimError | undefined): Promise<void> {
    this.#accepted.reject(reason ?? new Error('The host was taken down before it was accepted'));
    this.#deviceService.close();
    this.#jobs.stopAll();
    this.#memory?.close();
    await this.#init.transport.close();
    this.#ended.resolve(reason);
  }
}

/** A name for one life of a host, unique over all hosts. */
export function newNodeId(): string {
  return nanoid();
}
