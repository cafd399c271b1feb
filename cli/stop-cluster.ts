/** Takes down a cluster that stays: in order if its coordinator answers, by signals if not. */
import { delay, type Scheduler } from '../common/scheduler.ts';
import { type ClusterRecord, isLive } from './cluster-file.ts';
import { ClusterClient } from './job-client.ts';
import { isAlive, signalProcess } from './process-identity.ts';

/** For the coordinator to take the request. */
const CONNECT_DEADLINE_MS = 1_000;
/** After the request, until the daemons are told directly. */
const SHUTDOWN_GRACE_MS = 2_000;
/** After SIGTERM, until SIGKILL. */
const TERMINATE_GRACE_MS = 1_000;
const KILL_GRACE_MS = 2_000;
const POLL_MS = 25;

/** In order. Resolves to whether no process of the cluster is left. */
export async function stopDaemons(record: ClusterRecord, scheduler: Scheduler): Promise<boolean> {
  if (await askCoordinator(record, scheduler))
    await waitForEnd(record, scheduler, SHUTDOWN_GRACE_MS);
  return terminateDaemons(record, scheduler);
}

/** By signals alone: for a cluster that is not whole. */
export async function terminateDaemons(
  record: ClusterRecord,
  scheduler: Scheduler,
): Promise<boolean> {
  for (const daemon of record.daemons) signalProcess(daemon, 'SIGTERM');
  await waitForEnd(record, scheduler, TERMINATE_GRACE_MS);
  for (const daemon of record.daemons) signalProcess(daemon, 'SIGKILL');
  await waitForEnd(record, scheduler, KILL_GRACE_MS);
  return !isLive({ ...record, state: 'up' });
}

/** Whether there was a coordinator to ask. Its death is a reason for `down`, not an obstacle to it. */
async function askCoordinator(record: ClusterRecord, scheduler: Scheduler): Promise<boolean> {
  const { url, token } = record;
  const coordinator = record.daemons[0];
  if (url === undefined || coordinator === undefined || !isAlive(coordinator)) return false;
  try {
    const deadlineMs = CONNECT_DEADLINE_MS;
    const client = await ClusterClient.connect({ url, token, deadlineMs, scheduler });
    client.shutdownCluster();
    client.close();
    return true;
  } catch {
    return false;
  }
}

async function waitForEnd(
  record: ClusterRecord,
  scheduler: Scheduler,
  graceMs: number,
): Promise<void> {
  const endMs = scheduler.clock.now() + graceMs;
  while (record.daemons.some(isAlive) && scheduler.clock.now() < endMs) {
    await delay(scheduler, POLL_MS);
  }
}
