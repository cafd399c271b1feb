/** The coordinator process: configuration in, one line on standard output, signals, an orderly end. */
import { pino } from 'pino';
import { deferred } from '../common/deferred.ts';
import { wallScheduler } from '../common/scheduler.ts';
import type { CoordinatorConfig } from './config.ts';
import { type CoordinatorServer, startCoordinatorServer } from './server.ts';

/**
 * Runs until the cluster is taken down: by a client, SIGINT, SIGTERM or, with `exitWithParent`, the
 * end of standard input. Prints `{"event":"listening","url":...,"port":...}` when it can be dialled.
 *
 * @throws HlsimError `HLSIM_PORT_IN_USE`, `HLSIM_CONFIG`
 */
export async function runCoordinator(config: CoordinatorConfig): Promise<void> {
  const { host, port, token, hosts: expectedHosts, exitWithParent, logLevel } = config;
  // `base`: the fields of a line are about hosts, not about this process. Synchronous, so that nothing is lost when the process ends.
  const log = pino(
    { level: logLevel, base: { name: 'coordinator' } },
    pino.destination({ fd: 2, sync: true }),
  );
  const ended = deferred<void>();
  const stopWatching = watchForEnd(exitWithParent, (reason) => {
    log.info({ reason }, 'asked to end');
    ended.resolve();
  });
  try {
    const server = await startCoordinatorServer({
      host,
      port,
      token,
      expectedHosts,
      scheduler: wallScheduler,
      log,
    });
    log.info({ url: server.url, expectedHosts }, 'listening');
    announce(server);
    await Promise.race([ended.promise, server.closed]);
    await server.close();
  } finally {
    stopWatching();
  }
}

function announce({ url, port }: CoordinatorServer): void {
  process.stdout.write(`${JSON.stringify({ event: 'listening', url, port })}\n`);
}

/** Calls `end` for a signal or the parent's death; returns how to stop watching. */
function watchForEnd(exitWithParent: boolean, end: (reason: string) => void): () => void {
  const onSignal = (signal: NodeJS.Signals): void => end(signal);
  const onParentGone = (): void => end('the parent process has gone');
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  if (exitWithParent) {
    process.stdin.on('end', onParentGone);
    process.stdin.on('error', onParentGone);
    process.stdin.resume();
  }
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    if (!exitWithParent) return;
    process.stdin.off('end', onParentGone);
    process.stdin.off('error', onParentGone);
    process.stdin.destroy();
  };
}
