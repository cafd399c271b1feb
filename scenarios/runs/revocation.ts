/** R5, R6, R7, R9, R10, R11: taking memory back, and what may go on meanwhile. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import type { Stage } from '../stage.ts';
import { connectActors, must } from './connection.ts';
import { FROZEN_AFTER_MS } from './freeze.ts';
import { exportsMemory } from './memory.ts';

const BYTES = 65_536;
const LARGE_BYTES = 4 * 1024 * 1024;
const ROUNDS = 40;
/** The NIC gives a link that does not move a second; half of it is surely not enough to be chance. */
const STALL_MS = 500;
/** No close may take longer: the NIC gives a stalled link up long before. */
const CLOSE_BOUND_MS = 5_000;

export const deregistrationRace: Scenario = {
  id: 'R5',
  name: 'deregistration-race',
  title: 'a region is deregistered while its memory is being revoked',
  question: 'Is the region taken down once, whoever comes first?',
  risk: "a region torn down twice, and another region's memory with it",
  source: 'J. Moroni, pinned revocable regions, Linux commit ff85a2ebacbd',
  hosts: 1,
  devices: 1,
  ownership: 'revoke',
  policies: ['revoke', 'owner'],
  async run(stage) {
    const a = await stage.actor('A');
    const endings = await a.needs(
      `${ROUNDS} times: exports and registers, then closes the device and deregisters at once`,
      'raceDeregistration',
      ROUNDS,
    );
    const again = await a.does('opens the device once more', 'openPatiently', 0);
    await stage.verdict(
      again.ok && Object.keys(endings).every((ending) => ending === 'deregistered ok, closed ok'),
      'Both calls succeed in either order, and the device is free afterwards.',
    );
  },
};

export const lockInversion: Scenario = {
  id: 'R6',
  name: 'lock-inversion',
  title: 'registrations against exports and closes, from two processes at once',
  question: 'Is there an order of locks in which everybody gets on?',
  risk: 'a deadlock of driver and NIC that only load brings about',
  source: 'mlx5 umem_mutex against the reservation lock, fixed 2025',
  hosts: 1,
  devices: 2,
  ownership: 'revoke',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const b = await stage.actor('B');
    const device = await a.needs('opens device 0', 'open', 0);
    const address = await a.needs('allocates 64 KiB', 'allocate', device, BYTES);
    const dmaBuf = await a.needs('exports a dma-buf', 'exportDmaBuf', device, address, BYTES);
    const passed = await a.passes(dmaBuf, b);
    const peer = await b.needs('opens device 1', 'open', 1);
    const verbs = await b.needs('opens the NIC', 'openVerbs');
    const both = await Promise.all([
      a.quietly('exportAndClose', device, address, BYTES, ROUNDS),
      b.quietly('registerAndImport', verbs, peer, passed, BYTES, ROUNDS),
    ]);
    await a.tells(
      `exports and closes ${ROUNDS} times, while`,
      both[0].ok ? 'done' : both[0].message,
    );
    await b.tells(`registers and imports ${ROUNDS} times`, both[1].ok ? 'done' : both[1].message);
    const closed = await a.does('closes the device, whose dma-buf B still has', 'close', device);
    await stage.verdict(
      both.every(({ ok }) => ok) && closed.ok,
      'Both went through, and so did the close.',
    );
  },
};

export const deferredUnmap: Scenario = {
  id: 'R7',
  name: 'deferred-unmap',
  title: 'memory is revoked while the NIC still has frames of it to send',
  question: 'Does the revoker wait for a NIC that waits for the revoker?',
  risk: 'a close that never returns',
  source:
    'io_uring dma-buf tests, 2026: the unmapping worker needs the lock that the revoker holds',
  hosts: 2,
  devices: 1,
  ownership: 'revoke',
  policies: ['revoke', 'owner'],
  run: (stage) => revokeUnderTraffic(stage, 0),
};

export const stalledPeer: Scenario = {
  id: 'R10',
  name: 'stalled-importer',
  title: 'memory is revoked while its frames stand in front of a host that does not read',
  question: 'Is "revocable" true when the network does not move?',
  risk: 'a tenant who keeps memory by not reading from a socket',
  source: 'L. Romanovsky, "dma-buf: revoke" v6; J. Gunthorpe: an unbounded wait is broken hardware',
  hosts: 2,
  devices: 1,
  ownership: 'revoke',
  policies: ['revoke', 'owner'],
  run: (stage) => revokeUnderTraffic(stage, 1_500),
};

async function revokeUnderTraffic(stage: Stage, frozenMs: number): Promise<void> {
  const a = await stage.actor('A');
  const c = await stage.actor('C', { host: 1 });
  const device = await a.needs('opens the device', 'open', 0);
  const address = await a.needs('allocates 4 MiB', 'allocate', device, LARGE_BYTES);
  const dmaBuf = await a.needs('exports a dma-buf', 'exportDmaBuf', device, address, LARGE_BYTES);
  const [toC, toA] = await connectActors(a, c);
  const mr = await a.needs('registers it', 'registerDmaBuf', toC.verbs, dmaBuf, LARGE_BYTES);
  const sink = await c.needs('registers 4 MiB of its own', 'registerOwn', toA.verbs, LARGE_BYTES);
  await a.needs('closes the dma-buf fd', 'close', dmaBuf);
  if (frozenMs > 0) {
    await c.needs(`has its host stopped for ${frozenMs} ms`, 'freezeHost', frozenMs);
    await a.quietly('sleep', FROZEN_AFTER_MS);
  }
  await a.needs(
    'posts 16 writes of 4 MiB each to C',
    'postWrites',
    toC.end,
    mr,
    sink.address,
    sink.mr.rkey,
    LARGE_BYTES,
    16,
  );
  const closing = await a.does('closes the device in the middle of it', 'timedClose', device);
  const ended = await a.needs('collects its completions', 'collect', toC.end, 16);
  const later = await a.does(
    'writes from the region once more',
    'rdmaWriteFrom',
    toC.end,
    mr,
    sink.address,
    sink.mr.rkey,
    4096,
  );
  const state = await must(a.quietly('regionState', mr));
  const revoked = stage.ownership === 'revoke';
  const completions = Object.values(ended).reduce((sum, count) => sum + count, 0);
  const bounded = closing.ok && closing.value < CLOSE_BOUND_MS;
  // A host that stands still takes nothing: a revoke that returns sooner has not waited for its frames.
  const waited = frozenMs === 0 || !revoked || (closing.ok && closing.value >= STALL_MS);
  await stage.verdict(
    bounded &&
      waited &&
      completions === 16 &&
      !('no completion' in ended) &&
      (!revoked || state === 'REVOKED'),
    revoked
      ? `The close returned in bounded time, every write ended exactly once, and the region is ${state}: ${later.ok ? later.value : later.message}.`
      : `The close returned at once and every write ended; the device waits for the region, which is ${state}.`,
  );
}

export const resetThenClose: Scenario = {
  id: 'R9',
  name: 'reset-then-close',
  title: 'a reset revokes for a while, and the end of the owner that follows for good',
  question: 'Does the second revocation wait twice, or let somebody slip between?',
  risk: 'a gap between two revocations, in which an importer maps again',
  source: 'M. Evans, vfio dma-buf revoke series, 2026: TEMP_REVOKED, PERM_REVOKED',
  hosts: 2,
  devices: 1,
  ownership: 'revoke',
  policies: ['revoke'],
  async run(stage) {
    const a = await stage.actor('A');
    const d = await stage.actor('D');
    const c = await stage.actor('C', { host: 1 });
    const b = await stage.actor('B');
    const { dmaBuf } = await exportsMemory(a, BYTES);
    const passed = await a.passes(dmaBuf, d);
    const [toC, toD] = await connectActors(d, c);
    const mr = await d.needs('registers it', 'registerDmaBuf', toC.verbs, passed, BYTES);
    const mine = await c.needs('registers memory of its own', 'registerOwn', toD.verbs, 32);
    const first = await c.does("reads D's region", 'rdmaRead', toD.end, mine, 0, mr.rkey, 32);
    await stage.operator('resets the device (hard_reset)', () => stage.resetDevice(0));
    await stage.remark(
      'The reset has killed A, who had the device open. D lives, and so does its region.',
    );
    const state = await must(d.quietly('regionState', mr));
    await d.tells('looks at its region', state);
    const again = await d.does(
      'registers the buffer anew',
      'registerDmaBuf',
      toC.verbs,
      passed,
      BYTES,
    );
    const second = await c.does(
      "reads D's region again",
      'rdmaRead',
      toD.end,
      mine,
      0,
      mr.rkey,
      32,
    );
    const opened = await b.does('opens the device', 'openPatiently', 0);
    const status = await b.does('asks for the status', 'status', 0);
    const reads = [first, second].map((read) => (read.ok ? read.value : read.code));
    await stage.verdict(
      reads.join(' ') === 'IBV_WC_SUCCESS IBV_WC_REM_ACCESS_ERR' &&
        state === 'REVOKED' &&
        !again.ok &&
        again.code === 'ENODEV' &&
        opened.ok &&
        status.ok &&
        status.value === 'OPERATIONAL',
      'The reset took the memory back and the end of A made it final: the region that is left reaches nothing, nobody maps the buffer again, and the device went on to B.',
    );
  },
};

export const fenceRace: Scenario = {
  id: 'R11',
  name: 'fence-race',
  title: 'work ends at the moment somebody begins to wait for it',
  question: 'Is every wait answered exactly once?',
  risk: 'a waiter that sleeps for ever, or is woken twice',
  source: 'Linux st-dma-fence: race of signal and add_callback',
  hosts: 1,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const device = await a.needs('opens the device', 'open', 0);
    const address = await a.needs('allocates 64 KiB', 'allocate', device, BYTES);
    const endings = await a.needs(
      'submits 200 copies and waits for each twice, at once',
      'raceSubmissions',
      device,
      address,
      address + 8192,
      200,
    );
    await stage.verdict(
      endings['COMPLETED'] === 400 && Object.keys(endings).length === 1,
      'All 400 waits ended, each with COMPLETED.',
    );
  },
};
