/** Asks a coordinator how its cluster is: GET /status on the port of the control protocol. */
import type { Scheduler } from '../common/scheduler.ts';
import type { ClusterStatus } from '../coordinator/status.ts';

const STATUS_DEADLINE_MS = 2_000;

/** `undefined` if it does not answer in time: that is a state of the cluster too. */
export async function fetchStatus(
  { url, token }: { readonly url?: string | undefined; readonly token: string },
  scheduler: Scheduler,
): Promise<ClusterStatus | undefined> {
  if (url === undefined) return undefined;
  const address = new URL('/status', url);
  address.protocol = 'http:';
  const controller = new AbortController();
  const cancel = scheduler.after(STATUS_DEADLINE_MS, () => controller.abort());
  try {
    const response = await fetch(address, {
      headers: { authorization: `Bearer ${token}` },
      signal: controller.signal,
    });
    return response.ok ? ((await response.json()) as ClusterStatus) : undefined;
  } catch {
    return undefined;
  } finally {
    cancel();
  }
}
