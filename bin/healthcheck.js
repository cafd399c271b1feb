/**
 * The image's health check. In the coordinator's container: it answers GET /healthz. In a host's, which
 * HLSIM_COORDINATOR tells: the coordinator counts this machine among its hosts (GET /status).
 */
import { hostname } from 'node:os';
import process from 'node:process';

/** Shorter than the timeout of the health check, so that the reason is printed. */
const DEADLINE_MS = 2_500;

const { HLSIM_COORDINATOR: coordinator, HLSIM_PORT: port } = process.env;

async function get(path, base) {
  const address = new URL(path, base);
  address.protocol = 'http:';
  const response = await fetch(address, { signal: AbortSignal.timeout(DEADLINE_MS) });
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return response;
}

try {
  if (coordinator) {
    const { hosts } = await (await get('/status', coordinator)).json();
    const name = process.env.HLSIM_HOSTNAME || hostname();
    if (!hosts.some((host) => host.hostname === name)) throw new Error(`no host ${name}`);
  } else {
    await get('/healthz', `ws://127.0.0.1:${port || 7700}`);
  }
} catch (reason) {
  process.stderr.write(`unhealthy: ${reason.message}\n`);
  process.exit(1);
}
