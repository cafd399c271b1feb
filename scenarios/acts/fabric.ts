/** Acts with libfabric. */
import * as hlsim from 'hlsim';
import { QUEUE_DEPTH } from './verbs.ts';

/** A peer that is silent is given up after eight acknowledgement timeouts of 2.1 s. */
const COMPLETION_TIMEOUT_MS = 25_000;

/** An endpoint of libfabric. */
export interface FabricEnd {
  readonly endpoint: hlsim.FabricEndpoint;
  readonly av: hlsim.FabricAv;
  readonly cq: hlsim.FabricCq;
  /** fi_getname(3), in hexadecimal. */
  readonly name: string;
}

export const FABRIC_ACTS = {
  openFabric,

  /** Sends `bytes` bytes to the peer; without waiting for anything. */
  async fabricSend(end: FabricEnd, peer: string, bytes: number) {
    const [dest = hlsim.FI_ADDR_NOTAVAIL] = await hlsim.fi_av_insert(end.av, [
      Buffer.from(peer, 'hex'),
    ]);
    const { address } = hlsim.hostMemoryAlloc(bytes);
    const buffer = { kind: 'host', address, length: bytes } as const;
    return fabricPost(end, () => hlsim.fi_send(end.endpoint, buffer, dest, 1));
  },

  /** Lets the endpoint know its peer, so that messages can come. */
  async fabricExpect(end: FabricEnd, peer: string) {
    await hlsim.fi_av_insert(end.av, [Buffer.from(peer, 'hex')]);
  },

  /** Posts a receive and waits for what comes of it. */
  async fabricReceive(end: FabricEnd, bytes: number) {
    const { address } = hlsim.hostMemoryAlloc(bytes);
    const range = { address, length: bytes };
    const posted = await hlsim.fi_recv(end.endpoint, range, hlsim.FI_ADDR_UNSPEC, 2);
    if (posted !== undefined) return posted;
    const read = await hlsim.fi_cq_sread(end.cq, 1, COMPLETION_TIMEOUT_MS);
    if (typeof read !== 'string') return `${read.length} completion`;
    if (read !== 'FI_EAVAIL') return read;
    const error = await hlsim.fi_cq_readerr(end.cq);
    return typeof error === 'string' ? error : `error ${error.err} (${error.prov_errno})`;
  },

  /** Completions that come within a second. */
  async fabricLeft(end: FabricEnd) {
    const read = await hlsim.fi_cq_sread(end.cq, 16, 1_000);
    return typeof read === 'string' ? read : `${read.length} completions`;
  },
} as const;

/** An enabled endpoint of libfabric with all that it needs. */
async function openFabric(): Promise<FabricEnd> {
  const [info] = await hlsim.fi_getinfo();
  if (info === undefined) throw new Error('Expected fi_getinfo to know an interface');
  const domain = await hlsim.fi_domain(await hlsim.fi_fabric(info), info);
  const av = await hlsim.fi_av_open(domain);
  const cq = await hlsim.fi_cq_open(domain, QUEUE_DEPTH);
  const endpoint = await hlsim.fi_endpoint(domain, info);
  await hlsim.fi_ep_bind(endpoint, av);
  await hlsim.fi_ep_bind(endpoint, cq);
  await hlsim.fi_enable(endpoint);
  const name = Buffer.from(await hlsim.fi_getname(endpoint)).toString('hex');
  return { endpoint, av, cq, name };
}

/** Posts again while the answer is FI_EAGAIN; `posted`, or the error. */
async function fabricPost(
  { endpoint }: FabricEnd,
  post: () => Promise<hlsim.FiErrno | undefined>,
): Promise<string> {
  for (let trial = 0; trial < 100; trial++) {
    const error = await post();
    if (error === undefined) return 'posted';
    if (error !== 'FI_EAGAIN') return error;
    await hlsim.waitForProgress(endpoint, 100);
  }
  return 'FI_EAGAIN';
}
