/** Processes with libfabric open, for the tests of their calls. */
import { expect } from 'vitest';
import type { FiErrno } from '../../node/fabric/fabric.ts';
import { FabricError, type FabricMr } from '../../node/fabric-answer.ts';
import * as api from '../../node/fabric-api.ts';
import * as completions from '../../node/fabric-completion-api.ts';
import * as rma from '../../node/fabric-rma-api.ts';
import * as transfers from '../../node/fabric-transfer-api.ts';
import { exportMemory, type User, UserWorld } from './verbs/uverbs-world.ts';

export const fi = { ...api, ...transfers, ...rma, ...completions };
export const BYTES = 65_536;
export const BASE = 0x20_0000;
export const EVERY_ACCESS = [
  'FI_SEND',
  'FI_RECV',
  'FI_READ',
  'FI_WRITE',
  'FI_REMOTE_READ',
  'FI_REMOTE_WRITE',
] as const;

/** The `FI_E…` that a call threw; `no error` if it did not. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (reason) {
    if (reason instanceof FabricError) return reason.code;
    throw reason;
  }
  return 'no error';
}

/** A process with a domain and one endpoint that has a queue and addresses, and is not enabled. */
export async function prepare(user: User) {
  const { channel } = user;
  const [info] = await fi.fi_getinfo(channel);
  if (info === undefined) throw new Error('Expected an info');
  const fabric = await fi.fi_fabric(channel, info);
  const domain = await fi.fi_domain(channel, fabric, info);
  const av = await fi.fi_av_open(channel, domain);
  const cq = await fi.fi_cq_open(channel, domain, 64);
  const endpoint = await fi.fi_endpoint(channel, domain, info);
  await fi.fi_ep_bind(channel, endpoint, av);
  await fi.fi_ep_bind(channel, endpoint, cq);
  return { user, channel, info, fabric, domain, av, cq, endpoint };
}

/** The same, enabled. */
export async function open(user: User) {
  const opened = await prepare(user);
  await fi.fi_enable(opened.channel, opened.endpoint);
  return opened;
}

export type Opened = Awaited<ReturnType<typeof prepare>>;

/** `left` and `right` know each other, each as address 0. */
export async function introduce(left: Opened, right: Opened): Promise<void> {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const name = await fi.fi_getname(other.channel, other.endpoint);
    expect(await fi.fi_av_insert(one.channel, one.av, [name])).toEqual([0]);
  }
}

export async function pair(): Promise<{ world: UserWorld; left: Opened; right: Opened }> {
  const world = new UserWorld();
  const [left, right] = [await open(world.a.start()), await open(world.b.start())];
  await introduce(left, right);
  return { world, left, right };
}

export async function register({ user, channel, domain }: Opened) {
  const memory = await exportMemory(user, BYTES);
  const dmabuf = { fd: memory.dmaBuf, offset: 0, len: BYTES, base_addr: BASE };
  const attr = { dmabuf, access: EVERY_ACCESS, iface: 'FI_HMEM_SYNAPSEAI' } as const;
  return { memory, mr: await fi.fi_mr_regattr(channel, domain, attr, ['FI_MR_DMABUF']) };
}

/** Posts until it is taken. */
export async function eventually(
  { channel, endpoint }: Opened,
  post: () => Promise<FiErrno | undefined>,
): Promise<void> {
  for (;;) {
    const error = await post();
    if (error === undefined) return;
    expect(error).toBe('FI_EAGAIN');
    expect(await fi.waitForProgress(channel, endpoint, 10_000)).toBe('woken');
  }
}

export const whole = (mr: FabricMr) => ({ kind: 'mr', mr, address: BASE, length: BYTES }) as const;
