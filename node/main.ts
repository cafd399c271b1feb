/** The host daemon: one process, one host. `hlsim node` runs it; so does the container image. */
import { availableParallelism } from 'node:os';
import { pino } from 'pino';
import { keepAliveTimer, wallScheduler } from '../common/scheduler.ts';
import { connectHostControl } from '../coordinator/hlcp/client.ts';
import type { NodeConfig } from './config.ts';
import { type Host, newNodeId, startHost } from './host.ts';
import { operatingSystem } from './os/operating-system.ts';
import { createWebSocketTransport } from './transport/websocket-transport.ts';
import { workerLauncher } from './worker-launcher.ts';

/** A host that cannot close its sockets in this time ends all the same. */
const CLOSE_TIMEOUT_MS = 1_500;
/** Exit code of a host that ended because something was wrong. */
const FAILURE_EXIT_CODE = 1;

/**
 * Runs a host until it is told to end, its coordinator is gone, a signal comes, or (with
 * `exitWithParent`) its standard input ends. Rejects if it cannot join.
 */
export async function runNode(config: NodeConfig): Promise<void> {
  const log = pino(
    { level: config.logLevel, base: { host: config.hostname } },
    pino.destination(2),
  );
  const coordinator = new URL(config.coordinator);
  const token = config.token === undefined ? {} : { token: config.token };
  const control = await connectHostControl({
    url: config.coordinator,
    scheduler: wallScheduler,
    deadlineMs: config.joinTimeoutMs,
    ...token,
  });
  const transport = await createWebSocketTransport({
    nodeId: newNodeId(),
    bind: config.bind,
    // The coordinator reaches this host there, so peers do.
    advertiseHost: control.localAddress,
    scheduler: wallScheduler,
    links: config.linkTransport,
    ...token,
  }).catch((reason) => {
    control.close();
    throw reason;
  });
  const system = operatingSystem();
  const host = startHost({
    hostname: config.hostname,
    pid: process.pid,
    devices: config.devices,
    hbmBytes: config.hbmBytes,
    ownership: config.ownership,
    resetGraceMs: config.reset.graceMs,
    resetWaitMs: config.reset.waitMs,
    resetTrials: config.reset.trials,
    scheduler: wallScheduler,
    cores: availableParallelism(),
    transport,
    control,
    launcher: (table, deviceMemories) =>
      workerLauncher({ table, scheduler: wallScheduler, deviceMemories }),
    ...('unavailable' in system ? {} : { system }),
    ...token,
    master: { host: coordinator.hostname, port: Number(coordinator.port) },
    environment: config.environment,
    log,
  });
  endWhenTold(host, config.exitWithParent);
  await host.accepted;
  const { nodeId } = host;
  process.stdout.write(
    `${JSON.stringify({ event: 'joined', nodeId, pid: process.pid, link: transport.address })}\n`,
  );
  const reason = await host.ended;
  if (reason === undefined) return;
  log.error({ code: reason.code }, reason.message);
  process.exitCode = FAILURE_EXIT_CODE;
}

function endWhenTold(host: Host, exitWithParent: boolean): void {
  const end = () => host.close();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  if (exitWithParent) {
    process.stdin.on('end', end).on('error', end).resume();
    process.stdin.unref?.();
  }
  void host.ended.then(() => {
    process.stdin.pause();
    // Worker threads and sockets are gone by now; nothing they left may hold the process.
    keepAliveTimer(0, () => process.exit());
  });
  void host.accepted.catch(() => keepAliveTimer(CLOSE_TIMEOUT_MS, () => process.exit(1)));
}
