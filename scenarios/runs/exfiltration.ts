/** R1: the attack that the mail thread is about. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import type { Actor, Stage } from '../stage.ts';
import { connectActors } from './connection.ts';

const BYTES = 65_536;
const SECRET = 'SECRET: the weights of tenant B';
const OWN_TEXT = 'tenant A was here, nothing secret';

export const exfiltration: Scenario = {
  id: 'R1',
  name: 'exfiltration',
  title: 'A keeps an RDMA region of device memory beyond its close, and reads what B writes there',
  question: 'May memory that was exported and registered outlive its owner?',
  risk: "the next tenant's data, readable by the last one from another host",
  source: 'dri-devel, September 2021, "[PATCH v6 0/2] Add p2p via dmabuf to habanalabs"',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  run: steal,
};

async function steal(stage: Stage): Promise<void> {
  const a = await stage.actor('A');
  const b = await stage.actor('B');
  const c = await stage.actor('C', { host: 1, container: 'tenant-a' });
  await stage.remark('C is an accomplice of A on another host: it will read through the network.');
  const device = await a.needs('opens /dev/accel/accel0', 'open', 0);
  const address = await a.needs('allocates and maps 64 KiB of HBM', 'allocate', device, BYTES);
  await a.needs(`writes ${JSON.stringify(OWN_TEXT)} there`, 'write', device, address, OWN_TEXT);
  const dmaBuf = await a.needs('exports it as a dma-buf', 'exportDmaBuf', device, address, BYTES);
  const [toC, toA] = await connectActors(a, c);
  const registered = await a.does(
    'registers the dma-buf for RDMA (ibv_reg_dmabuf_mr)',
    'registerDmaBuf',
    toC.verbs,
    dmaBuf,
    BYTES,
  );
  if (!registered.ok) {
    await stage.verdict(true, 'The memory could not be registered at all, so nothing can leak.');
    return;
  }
  const loot = await c.needs(
    'registers memory of its own',
    'registerOwn',
    toA.verbs,
    SECRET.length,
  );
  const { rkey } = registered.value;
  const read = () =>
    c.does("reads A's region by RDMA", 'rdmaRead', toA.end, loot, 0, rkey, SECRET.length);
  await read();
  await c.does('looks at what it got', 'show', loot);
  await a.does('closes the dma-buf fd; the region still holds the buffer', 'close', dmaBuf);
  await a.does('closes the device, and keeps the region', 'close', device);
  await stage.remark('At risk from here on: whatever the next user of the device writes to it.');
  const opened = await openPatiently(stage, b);
  const openStep = stage.lastStep;
  if (opened === undefined) {
    await a.does('drops its region at last', 'deregister', registered.value);
    const after = await openPatiently(stage, b);
    const scrubbed = after === undefined ? '' : await newMemory(b, after);
    const clean = !scrubbed.includes('tenant A');
    await stage.verdict(
      after !== undefined && clean,
      clean
        ? `The attack fails at step ${openStep}: B is kept out until the last RDMA region of A is gone, and then finds the memory scrubbed.`
        : 'B found bytes of A in its new memory.',
    );
    return;
  }
  const target = await b.needs('allocates the same 64 KiB', 'allocate', opened, BYTES);
  const found = await b.needs('looks at its new memory', 'read', opened, target, OWN_TEXT.length);
  await b.needs('writes its secret there', 'write', opened, target, SECRET);
  await c.quietly('put', loot, '.'.repeat(SECRET.length));
  const status = await read();
  const readStep = stage.lastStep;
  const seen = await c.does('looks at what it got', 'show', loot);
  const stolen = seen.ok && seen.value.includes('SECRET');
  const how = status.ok ? status.value : status.message;
  await stage.verdict(
    !stolen && !found.includes('tenant A'),
    stolen
      ? `The attack succeeds at step ${readStep}: the secret of B is with tenant A on another host, ${JSON.stringify(seen.ok ? seen.value : '')}. Nothing kept the memory from its next user.`
      : `The attack fails at step ${readStep}: the read of the old region ends with ${how}, and not one byte of B's secret leaves.`,
    stage.ownership === 'none' ? 'broken' : 'held',
  );
}

/** Tries to open the device until it is given, or the answer will not change. */
async function openPatiently(stage: Stage, b: Actor): Promise<number | undefined> {
  const first = await b.does('tries to open the device', 'open', 0);
  if (first.ok) return first.value;
  for (let trial = 0; trial < 60; trial++) {
    await b.quietly('sleep', 100);
    const again = await b.quietly('open', 0);
    if (!again.ok && trial < 19) continue;
    if (!again.ok && stage.ownership !== 'owner-2021') return undefined;
    if (!again.ok) continue;
    await b.tells('tries again a little later', `fd ${again.value}`);
    return again.value;
  }
  return undefined;
}

async function newMemory(b: Actor, device: number): Promise<string> {
  const address = await b.needs('allocates 64 KiB', 'allocate', device, BYTES);
  return b.needs('looks at its new memory', 'read', device, address, OWN_TEXT.length);
}
