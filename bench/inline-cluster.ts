/**
 * A cluster in this process for benchmarks of its own code: the real coordinator, hosts, NICs, HCCL and
 * devices, over the transport and the control connections in memory, on the wall clock. Programs are
 * functions; they reach the libraries by the same system calls as any program, without a thread between.
 * All that happens follows in microtasks, so a program must let the event loop turn now and then.
 */
import { keepAliveTimer, wallScheduler as scheduler } from '../common/scheduler.ts';
import { createCoordinator } from '../coordinator/coordinator.ts';
import { controlPair } from '../coordinator/hlcp/memory-connection.ts';
import { HLCP_VERSION } from '../coordinator/hlcp/messages.ts';
import { startHost } from '../node/host.ts';
import type { SystemCallChannel } from '../node/process/system-call.ts';
import { inlineChannel, type SystemCallTable } from '../node/process/system-call-table.ts';
import type { ProgramLauncher } from '../node/program-launcher.ts';
import { MemoryNetwork } from '../node/transport/memory-transport.ts';

export interface InlineRank {
  readonly rank: number;
  readonly nranks: number;
  readonly channel: SystemCallChannel;
}

export type InlineProgram = (rank: InlineRank) => Promise<void>;

export interface InlineJob {
  /** One device each. */
  readonly hosts: number;
  readonly hbmBytes: number;
  readonly program: InlineProgram;
  readonly environment: Readonly<Record<string, string>>;
}

/** Longest job. */
const JOB_LIMIT_MS = 300_000;
const JOIN_TIMEOUT_MS = 10_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs one job on a cluster made for it. Rejects with what a rank threw. */
export async function runInline(job: InlineJob): Promise<void> {
  const network = new MemoryNetwork({ scheduler });
  const coordinator = createCoordinator({
    expectedHosts: job.hosts,
    scheduler,
    log: SILENT,
    onShutdown: () => undefined,
  });
  const failures: unknown[] = [];
  for (let index = 0; index < job.hosts; index++) {
    const { dialled, accepted } = controlPair(scheduler, 'host');
    coordinator.acceptHost(accepted);
    startHost({
      hostname: `host-${index}`,
      pid: 1 + index,
      devices: 1,
      hbmBytes: job.hbmBytes,
      scheduler,
      transport: network.transport(`node-${index}`),
      control: dialled,
      launcher: (table) => launcherOf(table, job.program, failures),
      master: { host: 'memory', port: 1 },
      environment: {},
      log: SILENT,
    });
  }
  const { dialled, accepted } = controlPair(scheduler, 'client');
  coordinator.acceptClient(accepted);
  let stopTimer = (): void => undefined;
  const done = new Promise<void>((resolve, reject) => {
    dialled.listen({
      message: (message) => {
        if (message.type === 'HLCP_JOB_DONE') resolve();
        if (message.type === 'HLCP_REFUSED') reject(new Error(message.failure.message));
      },
      closed: (reason) => reject(reason ?? new Error('Expected the coordinator to stay')),
    });
    const late = new Error(`Expected the job to end within ${JOB_LIMIT_MS} ms`);
    stopTimer = keepAliveTimer(JOB_LIMIT_MS, () => reject(late));
  });
  dialled.send({ type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION });
  const spec = { program: 'inline', arguments: [], environment: job.environment };
  dialled.send({ type: 'HLCP_JOB_SUBMIT', spec, joinTimeoutMs: JOIN_TIMEOUT_MS });
  await done.finally(stopTimer);
  if (failures.length > 0) throw failures[0];
}

function launcherOf(
  table: SystemCallTable,
  program: InlineProgram,
  failures: unknown[],
): ProgramLauncher {
  return ({ process, environment }) => {
    const rank = {
      rank: Number(environment['RANK']),
      nranks: Number(environment['WORLD_SIZE']),
      channel: inlineChannel(table, process),
    };
    const ended = program(rank).then(
      () => ({ exitCode: 0 }),
      (reason: unknown) => {
        failures.push(reason);
        return { exitCode: 1 };
      },
    );
    return { ended, kill: () => undefined };
  };
}
