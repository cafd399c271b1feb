/**
 * A cluster for the time of one command: a coordinator and its hosts as child processes on loopback.
 * Whatever happens to the command, nothing of it stays behind.
 */
import { nanoid } from 'nanoid';
import { environmentCopy } from '../common/environment.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { OwnershipPolicy } from '../node/device/ownership.ts';
import type { LinkChoice } from '../node/transport/transport.ts';
import { HOST_DEFAULTS } from './common-flags.ts';
import { coordinatorArguments, nodeArguments, type ResetPatience } from './daemon-arguments.ts';
import { DaemonProcess } from './daemon-process.ts';
import { readyUrl } from './daemon-words.ts';
import { type Interruption, unlessAborted } from './interruption.ts';
import { ClusterClient } from './job-client.ts';
import { warnOfOwnership } from './ownership-warning.ts';
import type { Terminal } from './terminal.ts';
import { joinedWords, startingWords } from './wording.ts';

/** From the start of the coordinator's process until it listens. */
export const COORDINATOR_READY_MS = 15_000;
/** After the coordinator was asked to take the cluster down, until the daemons are told directly. */
const SHUTDOWN_GRACE_MS = 2_000;
/** After SIGTERM, until SIGKILL. */
const TERMINATE_GRACE_MS = 1_000;
/** After SIGKILL: only a process that the kernel cannot end takes longer. */
const KILL_GRACE_MS = 2_000;

export interface TemporaryClusterOptions {
  readonly hosts: number;
  readonly devices: number;
  readonly hbmBytes: number;
  readonly ownership: OwnershipPolicy;
  /** Default `auto`. */
  readonly linkTransport?: LinkChoice;
  readonly reset?: ResetPatience;
  readonly token: string | undefined;
  readonly joinTimeoutMs: number;
  /** Logs of the daemons go to stderr from this level on; absent: only if one of them dies. */
  readonly logLevel: string | undefined;
}

export interface LaunchContext {
  readonly interruption: Interruption;
  readonly scheduler: Scheduler;
  readonly terminal: Terminal;
}

export class TemporaryCluster {
  readonly #daemons: DaemonProcess[] = [];
  #coordinator: DaemonProcess | undefined;
  readonly #options: TemporaryClusterOptions;
  readonly #context: LaunchContext;
  readonly #environment: Record<string, string>;
  readonly #forgetKill: () => void;
  #client: ClusterClient | undefined;

  private constructor(options: TemporaryClusterOptions, context: LaunchContext) {
    this.#options = options;
    this.#context = context;
    const token = options.token ?? nanoid();
    // The token is not an argument: every user of the machine may read those.
    this.#environment = { ...environmentCopy(), HLSIM_TOKEN: token };
    this.#forgetKill = context.interruption.onForce(() => this.#signalAll('SIGKILL'));
  }

  /** Starts a cluster, hands its client to `body`, and takes everything down, whatever happens. */
  static async use<T>(
    options: TemporaryClusterOptions,
    context: LaunchContext,
    body: (client: ClusterClient) => Promise<T>,
  ): Promise<T> {
    const cluster = new TemporaryCluster(options, context);
    try {
      const client = await unlessAborted(context.interruption.signal, cluster.#start());
      return await body(client);
    } finally {
      await cluster.#stop();
    }
  }

  async #start(): Promise<ClusterClient> {
    const { scheduler, terminal } = this.#context;
    const { hosts, joinTimeoutMs, ownership } = this.#options;
    warnOfOwnership(ownership, terminal);
    terminal.progress(startingWords(hosts));
    const url = await this.#startCoordinator();
    let joined = 0;
    const nodes = Array.from({ length: hosts }, (_, index) => this.#startNode(index, url));
    await Promise.all(
      nodes.map(async (node) => {
        await node.ready(scheduler, joinTimeoutMs);
        joined++;
        terminal.progress(joinedWords(joined, hosts));
      }),
    );
    this.#client = await ClusterClient.connect({
      url,
      token: this.#environment['HLSIM_TOKEN'],
      deadlineMs: joinTimeoutMs,
      scheduler,
    });
    return this.#client;
  }

  async #startCoordinator(): Promise<string> {
    const { hosts, logLevel } = this.#options;
    this.#coordinator = this.#spawn(
      'coordinator',
      coordinatorArguments({
        host: '127.0.0.1',
        port: 0,
        hosts,
        logLevel,
        parent: 'exit-with-parent',
      }),
    );
    return readyUrl(await this.#coordinator.ready(this.#context.scheduler, COORDINATOR_READY_MS));
  }

  #startNode(index: number, coordinator: string): DaemonProcess {
    const { devices, hbmBytes, ownership, reset, joinTimeoutMs, logLevel } = this.#options;
    const { linkTransport = HOST_DEFAULTS.linkTransport } = this.#options;
    return this.#spawn(
      `host ${index}`,
      nodeArguments({
        coordinator,
        devices,
        hbmBytes,
        ownership,
        linkTransport,
        reset,
        joinTimeoutMs,
        logLevel,
        bind: '127.0.0.1',
        parent: 'exit-with-parent',
      }),
    );
  }

  /** Refuses to start anything once the command was told to stop. */
  #spawn(name: string, args: readonly string[]): DaemonProcess {
    const { interruption, terminal } = this.#context;
    interruption.signal.throwIfAborted();
    const log =
      this.#options.logLevel === undefined
        ? undefined
        : (line: string) => terminal.note(`[${name}] ${line}`);
    const daemon = new DaemonProcess({ name, args, environment: this.#environment, log });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** In order first: coordinator's word, SIGTERM, SIGKILL, each with its time. */
  async #stop(): Promise<void> {
    this.#reportCrashes();
    this.#killUnresponsive();
    this.#client?.shutdownCluster();
    const asked = this.#client !== undefined;
    if (asked) await this.#allEnded(SHUTDOWN_GRACE_MS);
    this.#signalAll('SIGTERM');
    await this.#allEnded(TERMINATE_GRACE_MS);
    this.#signalAll('SIGKILL');
    await this.#allEnded(KILL_GRACE_MS);
    this.#client?.close();
    this.#forgetKill();
  }

  /**
   * Daemons that were found silent get no time to end in order: a stopped or hung process does not
   * use it. Hosts end by themselves when their coordinator has.
   */
  #killUnresponsive(): void {
    const client = this.#client;
    if (client === undefined) return;
    if (client.coordinatorState === 'silent') this.#coordinator?.kill('SIGKILL');
    for (const daemon of this.#daemons) {
      if (daemon.pid !== undefined && client.lostPids.has(daemon.pid)) daemon.kill('SIGKILL');
    }
  }

  /** Resolves when every daemon has ended, or the time is over. */
  async #allEnded(graceMs: number): Promise<void> {
    const { scheduler } = this.#context;
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = scheduler.after(graceMs, resolve);
    });
    await Promise.race([Promise.all(this.#daemons.map((daemon) => daemon.ended)), late]);
    cancel();
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const daemon of this.#daemons) daemon.kill(signal);
  }

  /** A daemon that ended before it was told to has something to say, unless its logs were shown anyway. */
  #reportCrashes(): void {
    if (this.#options.logLevel !== undefined) return;
    for (const daemon of this.#daemons) {
      if (daemon.state === 'running') continue;
      for (const line of daemon.lastLines) this.#context.terminal.note(`[${daemon.name}] ${line}`);
    }
  }
}
